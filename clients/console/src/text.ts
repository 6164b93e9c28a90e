/** Texts of events are anybody's: they are shown as text only, and invisible characters are named. */

/** Control characters but for tab and line feed; marks that change the direction; invisible blanks. */
const INVISIBLE =
  /[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180e\u200b\u200e\u200f\u2028-\u202e\u2060-\u206f\u3164\ufeff\uffa0\ufff9-\ufffb]|[\ud800-\udbff](?![\udc00-\udfff])|(?<![\ud800-\udbff])[\udc00-\udfff]/g;

/**
 * What Unicode lets a screen leave out, and the blank pattern of Braille. Scripts and emoji need some of it in texts, such
 * as joiners, variation selectors and tags; in emails it is a disguise.
 */
const UNSEEN_IN_EMAILS = /[\p{Default_Ignorable_Code_Point}\u2800]/gu;

const writtenOut = (found: string): string => `⟨U+${(found.codePointAt(0) ?? 0).toString(16).toUpperCase().padStart(4, "0")}⟩`;

/** The text with each invisible character written out, such as `⟨U+202E⟩`. */
export const visible = (text: string): string => text.replace(INVISIBLE, writtenOut);

/** An email with each invisible character written out, also those that {@link visible} leaves to texts. */
export const visibleEmail = (email: string): string => visible(email).replace(UNSEEN_IN_EMAILS, writtenOut);

/** At most so many characters of a text, for a cell of a list. No character is cut in half. */
export function shortened(text: string, most: number): string {
  if (text.length <= most) return text;
  const last = text.charCodeAt(most - 1);
  const end = last >= 0xd800 && last <= 0xdbff ? most - 1 : most;
  return `${text.slice(0, end)}…`;
}

const UUID = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/i;

export const isUuid = (text: string): boolean => UUID.test(text);
