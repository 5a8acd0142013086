import type { Plugin } from 'esbuild';
import type { Format } from '../../../domain/pipeline.ts';
import { replacing, type Replacement } from './replaced-modules.ts';

/** What a deployment may have no use for, as its stack tells and its pipeline does not: clients of services that it has not. */
export const optionalParts = ['redis', 'postgres'] as const;
export type OptionalPart = (typeof optionalParts)[number];

const replacements: Readonly<Record<OptionalPart, Replacement>> = {
  redis: {
    file: /[\\/]adapters[\\/]redis[\\/]module\.(ts|js)$/,
    // No refusal: a kept bundle finishes its tasks where its stack has Redis by now.
    contents: `import { ContainerModule } from 'inversify';
      export const redisDedupModule = () => new ContainerModule(() => {});`,
  },
  postgres: {
    file: /[\\/]lambda[\\/]results-database\.(ts|js)$/,
    contents: `import { InfrastructureError } from 'sluice';
      const refuse = () => {
        throw new InfrastructureError('SLUICE_DATABASE_URL is set, and the function was built without postgres', { code: 'E_CONFIGURATION' });
      };
      export { refuse as databaseModule, refuse as migrateDatabase };`,
  },
};

/** Readers of objects. That of JSON Lines stays: messages from elsewhere are read with it, whatever the objects are. */
const readers: readonly (Replacement & { readonly format: Format })[] = [
  {
    format: 'parquet',
    file: /[\\/]formats[\\/]parquet[\\/]decoder\.(ts|js)$/,
    contents: 'export const parquetDecoder = undefined;',
  },
  {
    format: 'csv',
    file: /[\\/]formats[\\/]csv[\\/]decoder\.(ts|js)$/,
    contents: 'export const csvDecoder = undefined;',
  },
  {
    format: 'json',
    file: /[\\/]formats[\\/]json[\\/]json-decoder\.(ts|js)$/,
    contents: 'export const jsonDecoder = undefined;',
  },
];

/**
 * Leaves parts out of a bundle.
 *
 * @param format what the pipeline declares of its objects: readers of other formats are left out
 */
export function leavingOut(without: readonly OptionalPart[], format: Format | undefined): Plugin {
  const others = format === undefined ? [] : readers.filter((reader) => reader.format !== format);
  return replacing('left-out', [...without.map((part) => replacements[part]), ...others]);
}
