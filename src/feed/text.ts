const NOT_ASCII = /[\u0080-\uffff]/;

/** Trimmed and Unicode NFC (R12); as `externalId` of the domain does it, at a tenth of the cost for plain ASCII. */
export function clean(text: string): string {
  const trimmed = text.trim();
  return NOT_ASCII.test(trimmed) ? trimmed.normalize('NFC') : trimmed;
}

/** A string of its own: a cell is a part of the text of some hundred rows, and would keep all of it in memory. */
export function ownText<Text extends string>(text: Text): Text {
  return Buffer.from(text).toString() as Text;
}

/** The same with strings of its own, however deep they lie. */
export function withOwnTexts<T>(value: T): T {
  if (typeof value === 'string') return ownText(value);
  if (Array.isArray(value)) return value.map(withOwnTexts) as T;
  if (typeof value !== 'object' || value === null || value instanceof Date) return value;
  return Object.fromEntries(Object.entries(value).map(([key, one]) => [key, withOwnTexts(one)])) as T;
}
