/** A known format's whole mapping, in the words of a feed file; what the file itself says goes before it. */
const ANEWSPRING = {
  format: { type: 'csv', encoding: 'auto', delimiter: 'auto' },
  learner: {
    externalId: 'ExternalID',
    email: { column: 'Email', optional: true },
    firstName: { column: 'FirstName', optional: true },
    lastName: { column: 'LastName', optional: true },
    attributes: {
      middleName: { column: 'MiddleName', optional: true },
      login: { column: 'Login', optional: true },
      function: { column: 'Function', optional: true },
      company: { column: 'Company', optional: true },
    },
  },
  groups: [{ column: 'Groups', separator: ';' }],
};

export const PRESETS: Readonly<Record<string, Readonly<Record<string, unknown>>>> = { anewspring: ANEWSPRING };

/** Formats that are known by name, but not yet read by this version. */
export const LATER_PRESETS: readonly string[] = ['oneroster', 'canvas-sis'];

/** Lays the feed's own keys over those of the preset that it names; sections are merged, lists replaced. */
export function withPreset(feed: unknown): unknown {
  if (!isSection(feed) || typeof feed.preset !== 'string' || !Object.hasOwn(PRESETS, feed.preset)) return feed;
  return overlay(PRESETS[feed.preset] ?? {}, feed);
}

function overlay(
  base: Readonly<Record<string, unknown>>,
  top: Readonly<Record<string, unknown>>,
): Record<string, unknown> {
  const merged: Record<string, unknown> = { ...base };
  for (const [key, value] of Object.entries(top)) {
    const below = merged[key];
    merged[key] = isSection(below) && isSection(value) && !('column' in below) ? overlay(below, value) : value;
  }
  return merged;
}

function isSection(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
