import { createHash } from 'node:crypto';
import { canonicalJson, declaredData, generationId, type Generation } from '../domain/generation.ts';
import type { AnyPipeline } from '../domain/pipeline.ts';
import type { Where } from '../domain/where.ts';

/** By pipeline, which never changes: every call of a function asks for it. */
const known = new WeakMap<AnyPipeline, Generation>();

/**
 * The generation that a run of a pipeline belongs to.
 *
 * @param adHoc a predicate of the run's own makes a generation of its own
 */
export function generationOf(pipeline: AnyPipeline, adHoc: Where | undefined): Generation {
  if (adHoc !== undefined) return newGeneration(pipeline, adHoc);
  let generation = known.get(pipeline);
  if (generation === undefined) known.set(pipeline, (generation = newGeneration(pipeline, undefined)));
  return generation;
}

function newGeneration(pipeline: AnyPipeline, adHoc: Where | undefined): Generation {
  const declared = declaredData(pipeline, adHoc);
  return {
    id: generationId(pipeline, adHoc === undefined ? undefined : sha256(canonicalJson(adHoc)).slice(0, 8)),
    pipeline: pipeline.name,
    version: pipeline.version,
    fingerprint: sha256(declared),
    declared,
  };
}

function sha256(text: string): string {
  return createHash('sha256').update(text).digest('hex');
}
