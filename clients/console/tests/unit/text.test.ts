import { expect, test } from "vitest";
import { isUuid, shortened, visible } from "../../src/text";

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
