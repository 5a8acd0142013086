import { generationOf } from '../../application/generation.ts';
import type { Generation } from '../../domain/generation.ts';
import type { AnyPipeline } from '../../domain/pipeline.ts';
import type { ResultStore } from '../../domain/ports/result-store.ts';
import type { Where } from '../../domain/where.ts';

export interface OwnGeneration {
  readonly generation: Generation;
  /** The predicate of a run's own that makes it another one than the pipeline's. */
  readonly where: Where | undefined;
}

/** The generations of a store that this code declares, by id: with its data and measures, and with whatever predicate of a run's own. */
export async function ownGenerations(
  pipeline: AnyPipeline,
  store: ResultStore,
  signal: AbortSignal,
): Promise<readonly OwnGeneration[]> {
  const { name, version } = pipeline;
  return (await store.generations(signal)).flatMap((generation) => {
    if (generation.pipeline !== name || generation.version !== version) return [];
    const { adHoc: where } = JSON.parse(generation.declared) as { adHoc?: Where };
    const isOurs = generationOf(pipeline, where).fingerprint === generation.fingerprint;
    return isOurs ? [{ generation, where }] : [];
  });
}
