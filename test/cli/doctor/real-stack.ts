import { readFileSync } from 'node:fs';
import type { BuildManifest } from '../../../src/entrypoints/cli/build/manifest.ts';

export interface EditableTemplate {
  Resources: Record<string, { Type: string; Properties: Record<string, unknown> }>;
}

/** What the stack of `infra` is for doctor: a test of infra keeps it as it is synthesized. */
export const realTemplate = readFileSync(new URL('stack.template.json', import.meta.url), 'utf8');

const bundle = { file: '', handler: 'index.handler', bytes: 1, gzipBytes: 1, packages: [] };

/** The build that it was synthesized from. */
export const realManifest: BuildManifest = {
  pipeline: 'lanes',
  version: 1,
  build: 'b'.repeat(64),
  sluice: '0.1.0',
  partitions: 32,
  maxFrameBytes: 983_040,
  keyed: true,
  without: [],
  functions: { dispatch: bundle, transform: bundle, analyze: bundle, reprocess: bundle },
};

/** Properties of the one resource of a type whose id starts so. */
export function propertiesOf(
  template: EditableTemplate,
  type: string,
  start: string,
): Record<string, unknown> {
  const found = Object.entries(template.Resources).filter(
    ([id, { Type }]) => Type === type && id.startsWith(start),
  );
  if (found.length !== 1 || found[0] === undefined)
    throw new Error(`${type} ${start}…: ${found.map(([id]) => id).join(', ') || 'none'}`);
  return found[0][1].Properties;
}
