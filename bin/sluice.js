#!/usr/bin/env node
// Plain JavaScript that an old Node parses too, so that it can say what is wrong instead of failing on syntax.
import { existsSync } from 'node:fs';
import module from 'node:module';

const NEEDED = [22, 18];

const [major, minor] = process.versions.node.split('.').map(Number);
if (major < NEEDED[0] || (major === NEEDED[0] && minor < NEEDED[1])) {
  process.stderr.write(
    `sluice needs Node ${NEEDED.join('.')} or later; this is ${process.version} (${process.execPath}).\n` +
      'Install a newer Node, or run it with one from npm: npx -p node@24 -p sluice sluice …\n' +
      'In a clone of the repository, `npm ci` brings one: use `npx sluice …` or `npm start` there.\n',
  );
  process.exit(1);
}

// What Node says about features that Sluice chose knowingly is of no use to its users; every other warning stays.
const emitWarning = process.emitWarning;
process.emitWarning = (warning, ...rest) => {
  const text = typeof warning === 'string' ? warning : warning.message;
  const options =
    typeof rest[0] === 'object' && rest[0] !== null ? rest[0] : { type: rest[0], code: rest[1] };
  const type = typeof warning === 'string' ? options.type : warning.name;
  if (type === 'ExperimentalWarning' && /SQLite|Type Stripping|stripTypeScriptTypes/i.test(text)) return;
  // A pipeline file may lie in a folder whose package.json says nothing of modules.
  if (options.code === 'MODULE_TYPELESS_PACKAGE_JSON') return;
  emitWarning.call(process, warning, ...rest);
};

// More than half of the time to start is compiling. Node keeps what it compiled in the folder for temporary files, unless
// NODE_DISABLE_COMPILE_CACHE is set; threads and processes of a run look for it in their environment.
const compiled = module.enableCompileCache?.();
if (compiled?.directory) process.env.NODE_COMPILE_CACHE = compiled.directory;

const source = new URL('../src/entrypoints/cli/main.ts', import.meta.url);
const built = new URL('../dist/entrypoints/cli/main.js', import.meta.url);
await import(existsSync(source) ? source.href : built.href);
