import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { App } from 'aws-cdk-lib';
import { Parameters } from '../src/app-parameters.ts';
import { sluiceApp } from '../src/app.ts';

// Only to read the context: the app itself is made when the build is known.
const given = new Parameters(new App({ autoSynth: false }).node);
const pipeline = given.text('pipeline');
if (given.text('build') !== undefined || pipeline === undefined) sluiceApp().app.synth();
else withBuildOf(pipeline, (build) => sluiceApp({ context: { build } }).app.synth());

/** In the repository `cdk synth` alone does: the pipeline is built on the way. `sluice deploy` gives the folder that it built. */
function withBuildOf(file: string, use: (folder: string) => void): void {
  const sluice = fileURLToPath(new URL('../../bin/sluice.js', import.meta.url));
  const folder = mkdtempSync(join(tmpdir(), 'sluice-build-'));
  try {
    const { status } = spawnSync(
      process.execPath,
      [sluice, 'build', file, '--out', folder, '--no-cold-start'],
      { stdio: ['ignore', 'ignore', 'inherit'] },
    );
    if (status !== 0) throw new Error(`${file} could not be built`);
    use(folder);
  } finally {
    rmSync(folder, { recursive: true });
  }
}
