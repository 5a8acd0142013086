import { statSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

/** A module of the benchmark, by its path without ending. */
export function moduleOf(path: string): URL {
  return new URL(`../${path}.ts`, import.meta.url);
}

export function pipelineOf(name: string): string {
  return fileURLToPath(moduleOf(`pipelines/${name}`));
}

export function repositoryFile(path: string): string {
  return fileURLToPath(new URL(`../../${path}`, import.meta.url));
}

export function megabytesOf(file: string): number {
  return statSync(file).size / 1e6;
}
