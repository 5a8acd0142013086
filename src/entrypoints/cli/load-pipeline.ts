import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { readdirSync, realpathSync, statSync } from 'node:fs';
import { basename, dirname, extname, relative, resolve, sep } from 'node:path';
import { pathToFileURL } from 'node:url';
import { DomainError, isSluiceError, messageOf } from '../../domain/errors.ts';
import { isPipeline, type AnyPipeline } from '../../domain/pipeline.ts';
import { closest } from './closest.ts';
import { installedPackages } from './installed-packages.ts';
import { sluiceVersion } from './sluice-version.ts';
import { importUserModules, UserModuleError, type UserModules } from './user-modules.ts';

/** A pipeline together with the code that it is. */
export interface LoadedPipeline {
  readonly pipeline: AnyPipeline;
  /** The pipeline file, absolute, symbolic links followed. */
  readonly path: string;
  /**
   * SHA-256 in hex: Sluice's version, the source of every file that importing the pipeline loaded, by its path
   * relative to the pipeline file, and name and version of the packages that these import. Moving the folder or
   * installing the same versions again changes nothing.
   */
  readonly build: string;
}

const EXTENSIONS = ['.ts', '.mts', '.js', '.mjs'];

/**
 * Imports a pipeline file: TypeScript or JavaScript, in or outside a package. Its `sluice` is the one that runs.
 *
 * @param path relative to the working directory, or absolute
 * @throws DomainError `E_PIPELINE_INVALID`, saying which file and line and what to do; the cause is what was thrown
 */
export async function loadPipeline(path: string): Promise<LoadedPipeline> {
  const file = pipelineFile(path);
  let modules: UserModules;
  try {
    modules = await importUserModules(file);
  } catch (error) {
    throw loadingError(path, file, error);
  }
  return {
    pipeline: exportedPipeline(path, modules.namespace),
    path: file,
    build: buildDigest(file, modules),
  };
}

function pipelineFile(path: string): string {
  const absolute = resolve(path);
  const stats = statSync(absolute, { throwIfNoEntry: false });
  if (stats === undefined) throw invalid(`${path}: there is no such file${suggestion(absolute)}`);
  if (!stats.isFile())
    throw invalid(`${path}: this is a folder; name the pipeline file in it${suggestion(absolute)}`);
  if (!EXTENSIONS.includes(extname(absolute))) {
    throw invalid(
      `${path}: a pipeline file ends in ${EXTENSIONS.slice(0, -1).join(', ')} or ${EXTENSIONS.at(-1)}`,
    );
  }
  return realpathSync(absolute);
}

function suggestion(missing: string): string {
  const isFolder = statSync(missing, { throwIfNoEntry: false })?.isDirectory() === true;
  const folder = isFolder ? missing : dirname(missing);
  let names: string[];
  try {
    names = readdirSync(folder).filter((name) => EXTENSIONS.includes(extname(name)));
  } catch {
    return `, and no folder ${dirname(missing)}`;
  }
  const close = isFolder ? names.slice(0, 5) : closest(basename(missing), names);
  return close.length === 0 ? '' : `; did you mean ${close.join(' or ')}?`;
}

function exportedPipeline(path: string, namespace: Readonly<Record<string, unknown>>): AnyPipeline {
  const exported = namespace['default'];
  if (isPipeline(exported)) return exported;
  const named = Object.keys(namespace).filter((name) => isPipeline(namespace[name]));
  if (named.length > 0) {
    throw invalid(
      `${path}: exports a pipeline as ${named.join(', ')}; make it the default export: export default …`,
    );
  }
  if (exported === undefined)
    throw invalid(`${path}: has no default export; write: export default definePipeline({ … })`);
  const what =
    exported === null ? 'null' : Array.isArray(exported) ? 'an array' : `of type ${typeof exported}`;
  throw invalid(
    `${path}: its default export is ${what}, not a pipeline; write: export default definePipeline({ … })`,
  );
}

function buildDigest(file: string, modules: UserModules): string {
  const lines = [...modules.sources].map(([path, source]) => {
    const place = relative(dirname(file), path).split(sep).join('/');
    return `file ${JSON.stringify(place)} ${createHash('sha256').update(source).digest('hex')}`;
  });
  lines.push(...installedPackages(modules.packageModules).map((name) => `package ${name}`));
  lines.push(`sluice ${sluiceVersion()}`);
  return createHash('sha256').update(lines.sort().join('\n')).digest('hex');
}

function loadingError(path: string, file: string, error: unknown): DomainError {
  const { cause, begun } = error instanceof UserModuleError ? error : { cause: error, begun: [] };
  const message = messageOf(cause);
  if (isSluiceError(cause)) return invalid(`${path}: ${message}`, cause);
  const stack = cause instanceof Error ? (cause.stack ?? '') : '';
  const place = placeIn(stack, begun) ?? path;
  const code = cause instanceof Error ? (cause as NodeJS.ErrnoException).code : undefined;
  if (code === 'ERR_UNSUPPORTED_TYPESCRIPT_SYNTAX') {
    return invalid(
      `${place}: ${message}. Node runs TypeScript by leaving its types out: write it without enums, namespaces ` +
        'with code, parameter properties and import aliases',
      cause,
    );
  }
  if (code === 'ERR_MODULE_NOT_FOUND') {
    return invalid(`${path}: ${message}${missingModule(message, file)}`, cause);
  }
  if (code === 'ERR_UNSUPPORTED_NODE_MODULES_TYPE_STRIPPING') {
    return invalid(`${path}: ${message}; publish that package as JavaScript, or import it by path`, cause);
  }
  if (cause instanceof SyntaxError) {
    return invalid(`${placeIn(stack, begun) ?? checkedPlace(begun) ?? path}: ${message}`, cause);
  }
  return invalid(`${place}: threw while it was loaded: ${message}`, cause);
}

function missingModule(message: string, file: string): string {
  const name = /Cannot find package '([^']+)'/.exec(message)?.[1];
  if (name !== undefined) return `; install it with: npm install ${name} (in ${dirname(file)} or above)`;
  const missing = /Cannot find module '([^']+)'/.exec(message)?.[1];
  return missing === undefined ? '' : suggestion(missing.replace(/\?import=\d+$/, ''));
}

/** The first of these files that a stack trace names, as `path:line`. */
function placeIn(stack: string, files: readonly string[]): string | undefined {
  for (const line of stack.split('\n')) {
    // `/a/b.ts:2` and `file:///a/b.ts:2` head a stack that Node decorated; `at f (file:///a/b.ts:2:7)` is a frame.
    for (const file of files) {
      for (const name of [file, pathToFileURL(file).href]) {
        const start = line.indexOf(name);
        const number = start < 0 ? null : /^(?:\?import=\d+)?:(\d+)/.exec(line.slice(start + name.length));
        if (number !== null) return `${file}:${number[1]}`;
      }
    }
  }
  return undefined;
}

/** Of a syntax error in JavaScript, Node tells the place only where it checks a file. */
function checkedPlace(files: readonly string[]): string | undefined {
  for (const file of files.toReversed()) {
    const { status, stderr } = spawnSync(process.execPath, ['--check', file], {
      encoding: 'utf8',
      timeout: 10_000,
    });
    if (status !== 0) return placeIn(stderr, [file]);
  }
  return undefined;
}

function invalid(message: string, cause?: unknown): DomainError {
  return new DomainError(message, { code: 'E_PIPELINE_INVALID', cause });
}
