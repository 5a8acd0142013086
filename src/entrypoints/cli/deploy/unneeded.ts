import type { AnyPipeline } from '../../../domain/pipeline.ts';
import type { OptionalPart } from '../build/left-out.ts';

/** Parameters of a stack that messages from elsewhere come by, or that are about them. */
const ABOUT_MESSAGES = ['messageQueue', 'foreignStreams', 'cache'] as const;

/**
 * What a stack of these parameters has no use for. Where it is not sure, it is needed: the stack itself checks that nothing that it has is left out.
 *
 * @param parameters by name, as `docs/deploy.md` lists them
 */
export function unneededBy(
  pipeline: AnyPipeline,
  parameters: Readonly<Record<string, string>>,
): readonly OptionalPart[] {
  const takesMessages =
    pipeline.source.id !== undefined || ABOUT_MESSAGES.some((name) => parameters[name] !== undefined);
  const inS3 = parameters['results'] === 's3';
  return [...(takesMessages ? [] : (['redis'] as const)), ...(inS3 ? (['postgres'] as const) : [])];
}
