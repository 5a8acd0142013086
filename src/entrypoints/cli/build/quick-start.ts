import { isBuiltin } from 'node:module';
import type { Plugin } from 'esbuild';
import { replacing } from './replaced-modules.ts';

/**
 * Node's own modules by `require`. An ES module that imports one has Node read all that it exports, and with `node:http` that loads its
 * client for `fetch`, which nobody uses: 55 ms of a start of 350, on one core.
 */
const requiredBuiltins: Plugin = {
  name: 'required-builtins',
  setup(build) {
    const namespace = 'builtin';
    build.onResolve({ filter: /^[a-z]/ }, ({ path, kind }) =>
      kind === 'import-statement' && isBuiltin(path) ? { path, namespace } : undefined,
    );
    build.onLoad({ filter: /.*/, namespace }, ({ path }) => ({
      contents: `module.exports = require(${JSON.stringify(path)});`,
    }));
  },
};

/**
 * Pino asks who calls it, so that it finds the transports that he names; ours names none, and in a bundle there are none: they run from files of their own.
 * With source maps on, as a stack has them, the whole map is read for the answer: 95 ms of a start of 350.
 */
const noTransports = replacing('no-transports', [
  { file: /[\\/]pino[\\/]lib[\\/]caller\.js$/, contents: 'module.exports = () => [];' },
  {
    file: /[\\/]pino[\\/]lib[\\/]transport\.js$/,
    contents: "module.exports = () => { throw new Error('transports of pino do not run in a bundle'); };",
  },
]);

/** What spares a function's start the work of others that brings it nothing. */
export const quickStart: readonly Plugin[] = [requiredBuiltins, noTransports];
