/** What a user's detail says of their API keys. */
import { h } from "preact";
import { expect, test } from "vitest";
import type { ApiKey } from "../../src/api/types";
import { Keys } from "../../src/details/user";
import { textOf } from "./rendered";

test("the beginning of an API key has its invisible characters written out", () => {
  const key: ApiKey = { key_id: "key_1", key_prefix: "sk_\u202e9f\u200b", name: "laptop", created_at: "2026-05-10T08:30:00Z", revoked: false, last_used_at: null };
  expect(textOf(h(Keys, { keys: [key] }))).toContain("laptop sk_⟨U+202E⟩9f⟨U+200B⟩");
});
