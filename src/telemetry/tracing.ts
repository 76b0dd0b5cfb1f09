import { createHash } from 'node:crypto';
import type { Context, Span, SpanContext, Tracer } from '@opentelemetry/api';

/** What the spans of a run are found by: its trace follows from it, so that every process knows it without being told. */
export interface Traced {
  readonly _id: string;
  readonly createdAt: Date;
}

/** Attributes of spans: names of feeds, ids of runs, figures; never what is said of a person. */
export type Attributes = Readonly<Record<string, string | number | boolean>>;

type Api = typeof import('@opentelemetry/api');

interface Tracing {
  readonly api: Api;
  readonly tracer: Tracer;
  /** Ids that the next span receives in place of random ones. */
  readonly ids: { next?: Pick<SpanContext, 'traceId' | 'spanId'> | undefined };
  /** BullMQ's side of it. */
  readonly telemetry: import('bullmq-otel').BullMQOtel;
}

let tracing: Tracing | undefined;

/**
 * Sends spans by OTLP over HTTP to `endpoint`/v1/traces from now on, until the function that is returned is called:
 * it sends what is left. Nothing of OpenTelemetry is loaded before. Where the receiver cannot be reached spans are lost.
 */
export async function startTracing(endpoint: string, version: string): Promise<() => Promise<void>> {
  const [api, sdk, { OTLPTraceExporter }, { resourceFromAttributes }, { BullMQOtel }] = await Promise.all([
    import('@opentelemetry/api'),
    import('@opentelemetry/sdk-trace-node'),
    import('@opentelemetry/exporter-trace-otlp-http'),
    import('@opentelemetry/resources'),
    import('bullmq-otel'),
  ]);
  const ids: Tracing['ids'] = {};
  const random = new sdk.RandomIdGenerator();
  const exporter = new OTLPTraceExporter({ url: `${endpoint.replace(/\/+$/, '')}/v1/traces` });
  const provider = new sdk.NodeTracerProvider({
    resource: resourceFromAttributes({ 'service.name': 'muster', 'service.version': version }),
    idGenerator: {
      generateTraceId: () => ids.next?.traceId ?? random.generateTraceId(),
      generateSpanId: () => ids.next?.spanId ?? random.generateSpanId(),
    },
    // BullMQ has a span of its own for each time that it looks for work: only what belongs to a run is worth sending.
    sampler: {
      shouldSample: (context) => ({
        decision:
          ids.next || isSampled(api, context)
            ? sdk.SamplingDecision.RECORD_AND_SAMPLED
            : sdk.SamplingDecision.NOT_RECORD,
      }),
      toString: () => 'OfRuns',
    },
    spanProcessors: [new sdk.BatchSpanProcessor(exporter, { scheduledDelayMillis: 1_000 })],
  });
  provider.register();
  tracing = { api, tracer: api.trace.getTracer('muster', version), ids, telemetry: new BullMQOtel() };
  return async () => {
    tracing = undefined;
    await provider.shutdown().catch(() => undefined);
    for (const global of [api.trace, api.context, api.propagation]) global.disable();
  };
}

/** For the options of BullMQ's queues and workers. */
export function bullTelemetry(): { telemetry?: Tracing['telemetry'] } {
  return tracing ? { telemetry: tracing.telemetry } : {};
}

export function isTracing(): boolean {
  return tracing !== undefined;
}

/** The context of the run as BullMQ carries it in a job; undefined where nothing is traced, or a span is at work already. */
export function carried(run: Traced): string | undefined {
  if (!tracing) return undefined;
  const { api } = tracing;
  if (isSampled(api, api.context.active())) return undefined;
  const metadata = {};
  api.propagation.inject(contextOf(api, run), metadata);
  return JSON.stringify(metadata);
}

/** Does the work in a span of that name; an error is named in it by its code alone. */
export async function inSpan<T>(name: string, attributes: Attributes, work: () => Promise<T>): Promise<T> {
  if (!tracing) return work();
  const { api, tracer } = tracing;
  return tracer.startActiveSpan(name, { attributes }, async (span) => {
    try {
      return await work();
    } catch (error) {
      fail(api, span, (error as { code?: unknown }).code ?? (error as Error).name);
      throw error;
    } finally {
      span.end();
    }
  });
}

export interface PastSpan {
  readonly name: string;
  readonly from: Date;
  readonly to: Date;
  readonly attributes: Attributes;
  /** The code of the error that it ended with. */
  readonly error?: string | undefined;
}

/** Sends spans of a run that are over; `whole` is the run's own, under which everything else of it lies. */
export function tellSpans(run: Traced, parts: readonly PastSpan[], whole?: PastSpan): void {
  if (!tracing) return;
  const { api, tracer, ids } = tracing;
  const emit = ({ name, from, to, attributes, error }: PastSpan, context: Context) => {
    const span = tracer.startSpan(name, { startTime: from, attributes }, context);
    if (error !== undefined) fail(api, span, error);
    span.end(to);
  };
  for (const part of parts) emit(part, contextOf(api, run));
  if (!whole) return;
  ids.next = idsOf(run);
  try {
    emit(whole, api.ROOT_CONTEXT);
  } finally {
    ids.next = undefined;
  }
}

function isSampled({ trace, TraceFlags }: Api, context: Context): boolean {
  return ((trace.getSpanContext(context)?.traceFlags ?? TraceFlags.NONE) & TraceFlags.SAMPLED) !== 0;
}

function fail({ SpanStatusCode }: Api, span: Span, code: unknown): void {
  span.setStatus({ code: SpanStatusCode.ERROR, message: String(code) });
}

function contextOf({ trace, ROOT_CONTEXT, TraceFlags }: Api, run: Traced): Context {
  return trace.setSpanContext(ROOT_CONTEXT, { ...idsOf(run), traceFlags: TraceFlags.SAMPLED, isRemote: true });
}

function idsOf({ _id, createdAt }: Traced): { traceId: string; spanId: string } {
  const hash = createHash('sha256').update(`${_id} ${createdAt.toISOString()}`).digest('hex');
  return { traceId: hash.slice(0, 32), spanId: hash.slice(32, 48) };
}
