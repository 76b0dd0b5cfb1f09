import { type Document, isMap, isScalar, isSeq, LineCounter, parseDocument, visit } from 'yaml';
import type { z } from 'zod';
import { UsageError } from '../domain/errors.ts';
import { nearest } from './nearest.ts';

/** A kind of file that people write: the shape it must have, and what it is called in refusals. */
export interface FileKind<Shape extends z.ZodType> {
  readonly shape: Shape;
  /** `feed`, `report`. */
  readonly noun: string;
  /** Keys that the shape knows only in order to refuse them: they are not offered. */
  readonly hidden?: readonly string[];
  /** What is done to the value before it is checked. */
  readonly prepare?: (value: unknown) => unknown;
}

type Path = readonly PropertyKey[];

/** Problems that are looked for and told of at once; when they are mended, the rest is. */
const MOST = 100;

/** One thing that is wrong with a file. */
interface Problem {
  readonly path: Path;
  /** What is wrong, to be read behind the key. */
  readonly message: string;
  /** The path names a key that should not be there, rather than a value. */
  readonly key?: boolean;
}

/** A value that is no file (the API, the database), checked. Throws one UsageError with every problem. */
export function readSettings<Shape extends z.ZodType>(
  kind: FileKind<Shape>,
  value: unknown,
  name = `The ${kind.noun}`,
): z.output<Shape> {
  const checked = check(kind, value);
  if ('value' in checked) return checked.value;
  throw refusal(
    kind,
    name,
    checked.problems.map(({ path, message }) => `  ${keyPath(path)} ${message}`),
  );
}

/**
 * Reads a file (YAML; JSON is YAML too). Throws one UsageError that names all problems, each with line, column, key
 * and, for an unknown key, the nearest known one.
 */
export function readSettingsFile<Shape extends z.ZodType>(
  kind: FileKind<Shape>,
  text: string,
  fileName: string,
): z.output<Shape> {
  const lines = new LineCounter();
  const { document, wrongKeys } = parsed(kind, text, fileName, lines);
  const place = (offset: number) => {
    const { line, col } = lines.linePos(offset);
    return `  ${fileName}:${line}:${col}`;
  };
  if (document.errors.length > 0) {
    throw refusal(
      kind,
      fileName,
      document.errors.slice(0, MOST).map((error) => `${place(error.pos[0])} ${error.message}`),
    );
  }
  const checked = check(kind, valueOf(kind, document, fileName));
  const problems = 'problems' in checked ? checked.problems : [];
  const found = [
    ...wrongKeys,
    ...problems.map((problem) => ({
      offset: offsetOf(document, problem),
      text: `${keyPath(problem.path)} ${problem.message}`,
    })),
  ];
  if ('value' in checked && found.length === 0) return checked.value;
  found.sort((a, b) => a.offset - b.offset);
  throw refusal(
    kind,
    fileName,
    found.map(({ offset, text }) => `${place(offset)} ${text}`),
  );
}

interface Found {
  readonly offset: number;
  readonly text: string;
}

/** The parser looks at each key for each other one, to find what is there twice: that is done here, once a key. */
function parsed(
  kind: Kind,
  text: string,
  fileName: string,
  lineCounter: LineCounter,
): { document: Document; wrongKeys: readonly Found[] } {
  try {
    const document = parseDocument(text, { lineCounter, prettyErrors: false, uniqueKeys: false });
    return { document, wrongKeys: wrongKeysOf(document) };
  } catch (error) {
    // The parser goes down into what is nested, and what is nested ten thousand deep is no file that somebody wrote.
    if (error instanceof RangeError || error instanceof SyntaxError)
      throw refusal(kind, fileName, ['  It is nested too deep']);
    throw error;
  }
}

/** Aliases (`*name`) are followed a few times only: a small file could stand for gigabytes. */
function valueOf(kind: Kind, document: Document, fileName: string): unknown {
  try {
    return document.toJS({ maxAliasCount: 20 });
  } catch (error) {
    throw refusal(kind, fileName, [`  ${error instanceof Error ? error.message : String(error)}`]);
  }
}

type Kind = FileKind<z.ZodType>;

function check<Shape extends z.ZodType>(
  { shape, prepare, hidden = [] }: FileKind<Shape>,
  value: unknown,
): { value: z.output<Shape> } | { problems: Problem[] } {
  const result = shape.safeParse(prepare ? prepare(value) : value, { reportInput: true });
  if (result.success) return { value: result.data };
  const issues = result.error.issues.slice(0, MOST);
  return { problems: issues.flatMap((issue) => problemsOf(shape, hidden, issue)).slice(0, MOST) };
}

function problemsOf(shape: z.ZodType, hidden: readonly string[], issue: z.core.$ZodIssue): Problem[] {
  if (issue.code === 'unrecognized_keys') {
    return issue.keys.slice(0, MOST).map((key) => {
      const known = keysAt(shape, issue.path).filter((name) => !hidden.includes(name));
      const meant = nearest(key, known);
      const hint = meant === undefined ? `Known here: ${known.join(', ')}.` : `Did you mean \`${meant}\`?`;
      return { path: [...issue.path, key], key: true, message: `is not a known key. ${hint}` };
    });
  }
  if (issue.code === 'invalid_key') {
    return [{ path: issue.path, key: true, message: issue.issues[0]?.message ?? 'is not a possible name' }];
  }
  if (issue.code === 'invalid_value' && issue.values.length > 1 && issue.message.startsWith('Invalid option')) {
    const values = issue.values.map(String);
    const meant = nearest(String(issue.input), values);
    const hint = meant === undefined ? '' : `. Did you mean \`${meant}\`?`;
    return [
      {
        path: issue.path,
        message: `cannot be ${JSON.stringify(issue.input)}; possible are ${values.join(', ')}${hint}`,
      },
    ];
  }
  return [{ path: issue.path, message: issue.message }];
}

/** Keys that the schema knows at a path; walks through what wraps an object (optional, default, preprocess, refine). */
function keysAt(schema: z.core.$ZodType, path: Path): string[] {
  const def = defOf(schema);
  switch (def.type) {
    case 'object': {
      if (path.length === 0) return Object.keys(def.shape);
      const inner = def.shape[String(path[0])];
      return inner ? keysAt(inner, path.slice(1)) : [];
    }
    case 'array':
      return keysAt(def.element, path.slice(1));
    case 'record':
      return keysAt(def.valueType, path.slice(1));
    case 'optional':
    case 'nullable':
    case 'default':
    case 'prefault':
      return keysAt(def.innerType, path);
    case 'pipe': {
      const inner = defOf(def.in).type === 'transform' ? def.out : def.in;
      return keysAt(inner, path);
    }
    default:
      return [];
  }
}

function defOf(schema: z.core.$ZodType): z.core.$ZodTypes['_zod']['def'] {
  return (schema as z.ZodType).def as z.core.$ZodTypes['_zod']['def'];
}

/** Offset of the key or value at a path; where it is missing, of the nearest section that is there. */
function offsetOf(document: Document, { path, key }: Problem): number {
  let node: unknown = document.contents;
  let offset = 0;
  for (const [depth, step] of path.entries()) {
    const pair = isMap(node)
      ? node.items.find((item) => isScalar(item.key) && String(item.key.value) === String(step))
      : undefined;
    const next = pair ? pair.value : isSeq(node) ? node.items[Number(step)] : undefined;
    if (pair && isScalar(pair.key) && pair.key.range) offset = pair.key.range[0];
    if (next === undefined || next === null) return offset;
    node = next;
    if ((key && depth === path.length - 1) || isMap(node)) continue;
    offset = rangeStart(node) ?? offset;
  }
  return offset;
}

function rangeStart(node: unknown): number | undefined {
  const { range } = node as { range?: readonly [number, number, number] | null };
  return range?.[0];
}

function wrongKeysOf(document: Document): Found[] {
  const found: Found[] = [];
  visit(document, {
    Map(_, { items }) {
      const seen = new Set<unknown>();
      for (const { key } of items) {
        if (!isScalar(key)) continue;
        const offset = rangeStart(key) ?? 0;
        if (key.value === '__proto__') found.push({ offset, text: '__proto__ cannot be a key' });
        if (seen.has(key.value)) found.push({ offset, text: 'Map keys must be unique' });
        seen.add(key.value);
      }
      return found.length < MOST ? undefined : visit.BREAK;
    },
  });
  return found;
}

function keyPath(path: Path): string {
  if (path.length === 0) return 'The file';
  return path
    .map((step, index) => (typeof step === 'number' ? `[${step}]` : `${index === 0 ? '' : '.'}${String(step)}`))
    .join('');
}

function refusal({ noun }: Kind, name: string, lines: readonly string[]): UsageError {
  const places = lines.length === 1 ? 'this place' : `these ${lines.length} places`;
  return new UsageError(
    `${name} is not a ${noun} that can be used; nothing was changed. Mend ${places} and try again:\n${lines.join('\n')}`,
  );
}
