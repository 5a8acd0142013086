import { existsSync } from 'node:fs';
import { generationOf } from '../../application/generation.ts';
import { DomainError } from '../../domain/errors.ts';
import type { Generation } from '../../domain/generation.ts';
import type { AnyPipeline } from '../../domain/pipeline.ts';
import type { ResultStore } from '../../domain/ports/result-store.ts';
import type { Where } from '../../domain/where.ts';
import { loadPipeline, type LoadedPipeline } from './load-pipeline.ts';

/**
 * The generation that a person means, and the pipeline's code where its file was named.
 *
 * @param name a pipeline file, a pipeline's name (its highest version), or a generation's id
 * @param where the predicate of an ad-hoc run; only with a file
 * @throws DomainError `E_NOT_FOUND`, naming those that there are
 */
export async function findGeneration(
  name: string,
  where: Where | undefined,
  store: ResultStore,
  signal: AbortSignal,
): Promise<{ generation: Generation; loaded: LoadedPipeline | undefined }> {
  const known = await store.generations(signal);
  if (existsSync(name)) {
    const loaded = await loadPipeline(name);
    const { id } = generationOf(loaded.pipeline, where);
    return { generation: known.find((generation) => generation.id === id) ?? notFound(id, known), loaded };
  }
  if (where !== undefined) throw new DomainError('--where goes with a pipeline file', { code: 'E_USAGE' });
  const byId = known.find((generation) => generation.id === name);
  return { generation: byId ?? latest(name, known) ?? notFound(name, known), loaded: undefined };
}

/** @throws DomainError `E_NOT_FOUND`, naming those that there are */
export async function requireGeneration(
  id: string,
  store: ResultStore,
  signal: AbortSignal,
): Promise<Generation> {
  const known = await store.generations(signal);
  return known.find((generation) => generation.id === id) ?? notFound(id, known);
}

/** @throws DomainError `E_PIPELINE_CHANGED` where the file declares something else than what the results were made with */
export function requireSame(generation: Generation, pipeline: AnyPipeline, where: Where | undefined): void {
  if (generationOf(pipeline, where).fingerprint === generation.fingerprint) return;
  throw new DomainError(`${generation.id} was run with other declared data than the file has now`, {
    code: 'E_PIPELINE_CHANGED',
  });
}

function latest(name: string, known: readonly Generation[]): Generation | undefined {
  return known
    .filter(({ pipeline, id, version }) => pipeline === name && id === `${name}@${version}`)
    .sort((a, b) => b.version - a.version)[0];
}

function notFound(name: string, known: readonly Generation[]): never {
  const there = known.length === 0 ? 'there are none' : `there are ${known.map(({ id }) => id).join(', ')}`;
  throw new DomainError(`no results of ${name} here: ${there}`, { code: 'E_NOT_FOUND' });
}
