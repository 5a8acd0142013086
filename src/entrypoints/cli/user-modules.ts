import { readFileSync } from 'node:fs';
import { createRequire, registerHooks } from 'node:module';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { isInNodeModules } from './installed-packages.ts';
import { SLUICE_ROOT, sluiceEntries } from './sluice-entries.ts';

/** What importing a file of the user's loaded, apart from Sluice itself. */
export interface UserModules {
  /** Everything that the file exports. */
  readonly namespace: Readonly<Record<string, unknown>>;
  /** The modules that are somebody's own files, the imported file included: path to source. */
  readonly sources: ReadonlyMap<string, string | Uint8Array>;
  /** Paths of the modules that these import from installed packages. */
  readonly packageModules: ReadonlySet<string>;
}

/** Node keeps every module that this process imported, under its URL; so this counts for the process, too. */
let imports = 0;

/**
 * Imports a file of the user's, wherever it lies: `sluice` means the Sluice that is running, whether or not another
 * copy is installed beside the file. Importing it again gives its code as it is then.
 *
 * @throws UserModuleError, whatever importing it threw
 */
export async function importUserModules(path: string): Promise<UserModules> {
  const times = ++imports;
  const entry = pathToFileURL(path).href;
  // The first import keeps its plain URL, so that stack traces show plain paths.
  const fresh = (url: string): string => (times === 1 ? url : `${url}?import=${times}`);

  // Followed through the user's own files only: what an installed package imports is fixed by its version, and seen
  // only where it was not loaded before.
  const users = new Set<string>();
  const begun: string[] = [];
  const sources = new Map<string, string | Uint8Array>();
  const packageModules = new Set<string>();
  const commonJs = new Set<string>();

  const hooks = registerHooks({
    resolve(specifier, context, nextResolve) {
      const parent = context.parentURL;
      const sluice = sluiceEntries.get(specifier);
      if (sluice !== undefined && !parent?.startsWith(SLUICE_ROOT))
        return { url: sluice, shortCircuit: true };

      const resolved = nextResolve(specifier, context);
      const { url } = resolved;
      const isEntry = specifier === fresh(entry);
      if (!isEntry && (parent === undefined || !users.has(parent))) return resolved;
      if (!url.startsWith('file:') || url.startsWith(SLUICE_ROOT)) return resolved;
      if (!isEntry && isInNodeModules(fileURLToPath(url))) {
        packageModules.add(fileURLToPath(url));
        return resolved;
      }
      // `require` caches by path and knows no queries: its modules are dropped from the cache below instead.
      const required = context.conditions.includes('require');
      const own = isEntry || required ? url : fresh(url);
      users.add(own);
      // In a package that says commonjs, TypeScript with `import` in it is what its compiler takes, and a module to us.
      const format =
        resolved.format === 'commonjs-typescript' && url.endsWith('.ts')
          ? 'module-typescript'
          : resolved.format;
      return { ...resolved, url: own, format };
    },
    load(url, context, nextLoad) {
      if (!users.has(url)) return nextLoad(url, context);
      const file = fileURLToPath(url);
      begun.push(file);
      const loaded = nextLoad(url, context);
      if (loaded.format?.startsWith('commonjs') === true) {
        commonJs.add(file);
        users.add(pathToFileURL(file).href);
      }
      sources.set(file, sourceOf(loaded.source) ?? readFileSync(file));
      return loaded;
    },
  });
  try {
    const namespace = (await import(fresh(entry))) as Record<string, unknown>;
    return { namespace, sources, packageModules };
  } catch (error) {
    throw new UserModuleError(error, begun);
  } finally {
    hooks.deregister();
    const { cache } = createRequire(import.meta.url);
    for (const file of commonJs) delete cache[file];
  }
}

/** Importing failed; `begun` are the files of the user's that were begun to load, in order. */
export class UserModuleError extends Error {
  override readonly name = 'UserModuleError';
  readonly begun: readonly string[];

  constructor(cause: unknown, begun: readonly string[]) {
    super('the module could not be imported', { cause });
    this.begun = begun;
  }
}

function sourceOf(source: unknown): string | Uint8Array | undefined {
  if (typeof source === 'string' || source instanceof Uint8Array) return source;
  return source instanceof ArrayBuffer ? new Uint8Array(source) : undefined;
}
