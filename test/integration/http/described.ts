/** What the OpenAPI document says of a value, as far as tests look at it. */
export interface Shape {
  readonly type?: string | readonly string[];
  readonly properties?: Readonly<Record<string, Shape>>;
  readonly required?: readonly string[];
  readonly items?: Shape;
  readonly enum?: readonly unknown[];
  readonly const?: unknown;
  readonly default?: unknown;
  readonly anyOf?: readonly Shape[];
  readonly oneOf?: readonly Shape[];
  readonly format?: string;
  readonly pattern?: string;
  readonly minimum?: number;
  readonly additionalProperties?: Shape | boolean;
}

export interface Operation {
  readonly method: string;
  /** `/api/v1/groups/{group}` */
  readonly path: string;
  readonly query: readonly string[];
  readonly body: Shape | undefined;
}

interface Described {
  readonly parameters?: readonly { readonly name: string; readonly in: string }[];
  readonly requestBody?: { readonly content: Readonly<Record<string, { readonly schema: Shape }>> };
}

/** Every operation of the document. */
export function operationsOf(document: object): Operation[] {
  const { paths = {} } = document as { paths?: Record<string, Record<string, Described>> };
  return Object.entries(paths).flatMap(([path, methods]) =>
    Object.entries(methods).map(([method, { parameters = [], requestBody }]) => ({
      method: method.toUpperCase(),
      path,
      query: parameters.filter((one) => one.in === 'query').map(({ name }) => name),
      body: requestBody?.content['application/json']?.schema,
    })),
  );
}

export type Json = null | boolean | number | string | readonly Json[] | { readonly [name: string]: Json };

/** The shapes that a value may have, where there are several. */
export function choicesOf(shape: Shape): readonly Shape[] {
  return shape.anyOf ?? shape.oneOf ?? [shape];
}

/** A value of the shape with every field that it knows; names of things are `own`. */
export function sampleOf(shape: Shape, own: (field: string) => string | undefined, field = ''): Json {
  const [first = shape] = choicesOf(shape);
  if (first !== shape) return sampleOf(first, own, field);
  if (shape.const !== undefined) return shape.const as Json;
  if (shape.enum) return shape.enum[0] as Json;
  const type = typeof shape.type === 'string' ? shape.type : shape.type?.[0];
  if (type === 'object') {
    const fields = Object.entries(shape.properties ?? {});
    return Object.fromEntries(fields.map(([name, inner]) => [name, sampleOf(inner, own, name)]));
  }
  if (type === 'array') return [sampleOf(shape.items ?? {}, own, field)];
  if (type === 'boolean') return false;
  if (type === 'integer' || type === 'number') return Math.max(1, shape.minimum ?? 1);
  if (type === 'null') return null;
  return own(field) ?? (shape.format === 'date-time' ? '2027-01-01T00:00:00Z' : 'sample');
}

type Place = { readonly at: string; readonly value: Json };

function isObject(value: Json): value is { readonly [name: string]: Json } {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** What `change` makes of each part of a list or object, put into a copy of it. */
function* within(value: Json, at: string, change: (part: Json, at: string) => Iterable<Place>): Generator<Place> {
  if (Array.isArray(value)) {
    const list: readonly Json[] = value;
    for (const [index, item] of list.entries())
      for (const inner of change(item, `${at}/${index}`)) yield { at: inner.at, value: list.with(index, inner.value) };
  } else if (isObject(value)) {
    for (const [name, item] of Object.entries(value))
      for (const inner of change(item, `${at}/${name}`))
        yield { at: inner.at, value: { ...value, [name]: inner.value } };
  }
}

/** A copy of a value for each place in it, with that place's value replaced by `by`. */
export function* replaced(value: Json, by: Json, at = ''): Generator<Place> {
  yield { at: at || '(all)', value: by };
  yield* within(value, at, (part, where) => replaced(part, by, where));
}

/** A copy of a value for each object in it, with one field more; an empty one inside is of names that are free. */
export function* extended(value: Json, field: string, by: Json, at = ''): Generator<Place> {
  if (isObject(value) && !(field in value) && (at === '' || Object.keys(value).length > 0))
    yield { at: `${at}/${field}`, value: { ...value, [field]: by } };
  yield* within(value, at, (part, where) => extended(part, field, by, where));
}
