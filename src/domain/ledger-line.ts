import type { RoutedFailure } from './ports/error-router.ts';

/** How a failure's payload becomes text. */
export interface PayloadText {
  /** As JSON text. Where it throws, the line has the payload's bytes instead. */
  readonly toJson: (payload: Uint8Array) => string;
  readonly toBase64: (payload: Uint8Array) => string;
}

/**
 * A failure as a line of the ledger, as JSON without the line's end. Fields: `id, at, pipeline, version, generation, run, build, route, stage, code,
 * message, rows`, then `object: { bucket, key, version, size }` and `coordinate`, or `source` and `key`, then `output`, and `payload` (or
 * `payloadBase64` where it cannot be decoded; neither where it is not kept).
 */
export function ledgerLine(routed: RoutedFailure, text: PayloadText): string {
  const { payload } = routed.failure;
  const fields = ledgerFields(routed);
  return JSON.stringify(payload === null ? fields : { ...fields, ...payloadField(payload, text) });
}

/** All of a line but its payload. */
export function ledgerFields({
  failure,
  at,
  generation,
  pipeline,
  version,
  run,
  build,
  route,
}: RoutedFailure): Readonly<Record<string, unknown>> {
  const { id, position, stage, code, message, rows } = failure;
  const place =
    position.kind === 'row'
      ? { object: position.object, coordinate: position.coordinate }
      : { source: position.source, key: position.key };
  return {
    id,
    at: new Date(at).toISOString(),
    pipeline,
    version,
    generation,
    run,
    build,
    route,
    stage,
    code,
    message,
    rows,
    ...place,
    output: position.output,
  };
}

function payloadField(payload: Uint8Array, { toJson, toBase64 }: PayloadText): object {
  try {
    return { payload: JSON.parse(toJson(payload)) as unknown };
  } catch {
    return { payloadBase64: toBase64(payload) };
  }
}
