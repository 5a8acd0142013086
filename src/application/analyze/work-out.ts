import { DomainError } from '../../domain/errors.ts';
import type { FrameHeader, MessagesBody, SectionOrigin } from '../../domain/frame.ts';
import type { AnyPipeline } from '../../domain/pipeline.ts';
import type { Effects } from '../../domain/ports/result-store.ts';
import type { Position } from '../../domain/position.ts';
import { unpackFrame } from '../frames/frame-codec.ts';
import { decodeValue } from '../values/value-reader.ts';
import { encodeValue } from '../values/value-writer.ts';
import { EffectsFold } from './effects.ts';

/** What a frame with messages of a section does to the results. */
export interface SectionEffects {
  readonly header: FrameHeader;
  readonly effects: Effects;
}

/**
 * The part of analyze that needs no port, so that it can be done on another thread: unpacks a record of the stream, and runs the
 * pipeline's `analyze` over its messages.
 *
 * @returns `undefined` where it holds anything else than messages of a section
 * @throws as `analyzeRecord`, but for what its ports throw
 */
export async function workOut(
  record: Uint8Array,
  { pipeline, build }: { readonly pipeline: AnyPipeline; readonly build: string },
): Promise<SectionEffects | undefined> {
  const { header, body } = await unpackFrame(record);
  if (body.kind !== 'messages') return undefined;
  requireBuild(header, build);
  return { header, effects: effectsOfMessages(header, body, pipeline) };
}

/** Effects as bytes, for a way to another thread. */
export function encodeEffects(effects: Effects): Uint8Array {
  return encodeValue(effects, -EFFECTS_LEVELS);
}

export function decodeEffects(bytes: Uint8Array): Effects {
  return decodeValue(bytes, -EFFECTS_LEVELS) as Effects;
}

/** What effects wrap around the details of a finding takes nothing of the depth that those may have. */
const EFFECTS_LEVELS = 5;

/** @throws DomainError `E_OTHER_BUILD` */
export function requireBuild(header: FrameHeader, build: string): void {
  if (header.build === build) return;
  throw new DomainError(`a frame belongs to build ${header.build}, this is ${build}`, {
    code: 'E_OTHER_BUILD',
  });
}

export function effectsOfMessages(
  { generation, origin }: FrameHeader,
  { messages, coordinates, outputs }: MessagesBody,
  pipeline: AnyPipeline,
): Effects {
  const { object } = origin as SectionOrigin;
  const fold = new EffectsFold(pipeline, generation);
  const positionOf = (index: number): Position => ({
    kind: 'row',
    object,
    coordinate: coordinates[index] as number,
    output: outputs[index] as number,
  });
  for (let index = 0; index < messages.length; index++) fold.add(messages[index], index, positionOf);
  return fold.finish();
}
