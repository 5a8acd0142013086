/** `src/` in the repository, `dist/` in the package; both are laid out alike. */
export const SLUICE_ROOT = new URL('../../', import.meta.url).href;

const EXTENSION = import.meta.url.endsWith('.ts') ? '.ts' : '.js';

const modules: Readonly<Record<string, string>> = {
  sluice: 'index',
  'sluice/in-memory': 'entrypoints/in-memory/index',
  'sluice/testing': 'testing/index',
  'sluice/testing/lambda': 'testing/lambda/index',
  'sluice/lambda/dispatch': 'entrypoints/lambda/dispatch',
  'sluice/lambda/transform': 'entrypoints/lambda/transform',
  'sluice/lambda/analyze': 'entrypoints/lambda/analyze',
  'sluice/lambda/reprocess': 'entrypoints/lambda/reprocess',
};

/** What the package exports, as URLs of the Sluice that is running: whoever imports `sluice` gets this one. */
export const sluiceEntries: ReadonlyMap<string, string> = new Map(
  Object.entries(modules).map(([name, module]) => [name, `${SLUICE_ROOT}${module}${EXTENSION}`]),
);
