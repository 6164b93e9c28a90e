import { expect, test } from "vitest";
import { whileReading } from "../../src/api/queries";
import { tracksOf } from "../../src/ui/table";

test("a table has tracks if every column has one, and those of extra columns are left out next to a detail", () => {
  const [time, name] = [{ track: "100px" }, { track: "1fr", extra: true }];

  expect(tracksOf([time, name])).toEqual({ "--tracks": "100px 1fr", "--tracks-without-extra": "100px" });
  expect(tracksOf([time, name], true)).toEqual({ "--tracks": "32px 100px 1fr", "--tracks-without-extra": "32px 100px" });
  expect(tracksOf([time, {}])).toBeNull();
});

test("while names are read, those that are known stay and the others are marked as being read", () => {
  const known = new Map([
    ["a", "Ann"],
    ["gone", "Bob"],
  ]);

  expect([...whileReading(["a", "b"], known)]).toEqual([
    ["a", "Ann"],
    ["b", null],
  ]);
});
