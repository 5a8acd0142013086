import { SpanStatusCode, trace } from '@opentelemetry/api';
import { isSluiceError, messageOf } from '../../domain/errors.ts';
import { cleanText } from '../log-fields.ts';

/** Names, numbers and ids; never what a row or a message says. `undefined` stays out. */
export type SpanAttributes = Readonly<Record<string, string | number | boolean | undefined>>;

/**
 * Does work in a span of its own, a child of the one that it is called in. What the work throws is recorded and thrown on. Without a
 * provider of OpenTelemetry in the process, which the user's own bundle or a Lambda layer registers, this costs a
 * function call.
 *
 * @param name what is done, not to what: `sluice.transform`
 */
export function traced<T>(name: string, attributes: SpanAttributes, work: () => Promise<T>): Promise<T> {
  // Asked for each time: a provider may be registered after this module was loaded.
  return trace.getTracer('sluice').startActiveSpan(name, { attributes: { ...attributes } }, async (span) => {
    try {
      return await work();
    } catch (thrown) {
      const message = cleanText(messageOf(thrown));
      const { name: type, stack } =
        thrown instanceof Error ? thrown : { name: typeof thrown, stack: undefined };
      span.recordException({
        name: type,
        message,
        ...(stack === undefined ? {} : { stack: cleanText(stack) }),
      });
      if (isSluiceError(thrown)) span.setAttribute('sluice.code', thrown.code);
      span.setStatus({ code: SpanStatusCode.ERROR, message });
      throw thrown;
    } finally {
      span.end();
    }
  });
}
