import { expect, test } from "vitest";
import { isUuid, shortened, visible, visibleEmail } from "../../src/text";

test("invisible and direction-changing characters are written out", () => {
  expect(visible("a\u202Egnp.exe")).toBe("a⟨U+202E⟩gnp.exe");
  expect(visible("ann\u200B@example.com")).toBe("ann⟨U+200B⟩@example.com");
  expect(visible("\u0000\u001B[31m\u2066")).toBe("⟨U+0000⟩⟨U+001B⟩[31m⟨U+2066⟩");
  expect(visible("\uD800")).toBe("⟨U+D800⟩");
});

test("what people write stays as it is", () => {
  for (const text of ["line\nnext\ttab", "مرحبا", "שלום", "e\u0301", "👩‍👧", "naïve", "<b>&amp;"]) {
    expect(visible(text)).toBe(text);
  }
});

test("in an email what joins or varies characters is written out, too, and all else that is not seen", () => {
  for (const [code, written] of [
    [0x200c, "200C"],
    [0x200d, "200D"],
    [0x180b, "180B"],
    [0xfe0e, "FE0E"],
    [0xfe0f, "FE0F"],
    [0xe0001, "E0001"],
    [0xe0041, "E0041"],
    [0xe007f, "E007F"],
    [0xe0100, "E0100"],
    [0xe01ef, "E01EF"],
    [0x200b, "200B"],
    [0x2800, "2800"],
    [0x2065, "2065"],
    [0xfff0, "FFF0"],
    [0x1bca0, "1BCA0"],
    [0x1d173, "1D173"],
    [0xe0080, "E0080"],
    [0xe0fff, "E0FFF"],
  ] as const) {
    expect(visibleEmail(`ann${String.fromCodePoint(code)}@example.com`)).toBe(`ann⟨U+${written}⟩@example.com`);
  }
  for (const email of ["ann@example.com", "jürgen+a@exämple.com", "用户@例子.公司", "👩@example.com"]) expect(visibleEmail(email)).toBe(email);
});

test("a long text is cut, but no character is cut in half", () => {
  expect(shortened("abc", 3)).toBe("abc");
  expect(shortened("abcd", 3)).toBe("abc…");
  expect(shortened("ab👩cd", 3)).toBe("ab…");
});

test("an id is a whole UUID in any case", () => {
  expect(isUuid("770e8400-e29b-41d4-a716-446655440000")).toBe(true);
  expect(isUuid("770E8400-E29B-41D4-A716-446655440000")).toBe(true);
  expect(isUuid("770e8400-e29b-41d4-a716-44665544000")).toBe(false);
  expect(isUuid("{770e8400-e29b-41d4-a716-446655440000}")).toBe(false);
});
