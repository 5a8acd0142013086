import { mkdir, readdir, readFile, rename, rm, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { SystemClock } from '../../../src/adapters/inmemory/clock.ts';
import { silentLog } from '../../../src/adapters/inmemory/log.ts';
import { FailureLedger } from '../../../src/adapters/local/failure-ledger.ts';
import { LocalKilledRows } from '../../../src/adapters/local/killed-rows.ts';
import { LocalObjectSource } from '../../../src/adapters/local/object-source.ts';
import {
  errorRouterContract,
  killedRowsContract,
  objectSourceContract,
  type DeliveredFailure,
} from '../../../src/testing/index.ts';
import { openFilesUnder, removeFolder, scratchFolder } from './scratch.ts';

const chunkSizes = { 'chunks of 512 KiB': {}, 'chunks of 1,000 bytes': { chunkBytes: 1_000 } };

for (const [name, options] of Object.entries(chunkSizes)) {
  objectSourceContract(`LocalObjectSource: ${name}`, async () => {
    const folder = await scratchFolder();
    const lake = path.join(folder, 'lake');
    await mkdir(lake);
    const source = new LocalObjectSource(
      { clock: new SystemClock(), log: silentLog },
      { outputFolder: path.join(folder, 'out'), ...options },
    );
    return {
      source,
      put: async (key, content) => {
        const file = path.join(lake, key);
        await mkdir(path.dirname(file), { recursive: true });
        await writeFile(path.join(folder, 'incoming'), content);
        await rename(path.join(folder, 'incoming'), file);
      },
      remove: (key) => rm(path.join(lake, key)),
      locationOf: (key = '') => path.join(lake, key),
      nameOf: (key) => ({ bucket: 'file:', key: path.join(lake, key).slice(1) }),
      openReads: () => openFilesUnder(lake),
      dispose: () => removeFolder(folder),
    };
  });
}

errorRouterContract('FailureLedger', async () => {
  const folder = await scratchFolder();
  return {
    router: new FailureLedger({ folder, payloadToJson: (payload) => JSON.stringify([...payload]) }),
    delivered: async () => {
      const files = await readdir(folder, { recursive: true, withFileTypes: true });
      const texts = await Promise.all(
        files
          .filter((entry) => entry.isFile())
          .map((entry) => readFile(path.join(entry.parentPath, entry.name), 'utf8')),
      );
      return texts.flatMap((text) => text.split('\n').slice(0, -1)).map(delivered);
    },
    dispose: () => removeFolder(folder),
  };
});

killedRowsContract('LocalKilledRows', async () => {
  const folder = await scratchFolder();
  const open = () => new LocalKilledRows(path.join(folder, 'out'));
  return { killed: open(), again: async () => open(), dispose: () => removeFolder(folder) };
});

function delivered(line: string): DeliveredFailure {
  const fields = JSON.parse(line) as DeliveredFailure & { at: string };
  const { generation, pipeline, version, run, build, route, at, id, stage, code, message, rows } = fields;
  return {
    generation,
    pipeline,
    version,
    run,
    build,
    route,
    at: Date.parse(at),
    id,
    stage,
    code,
    message,
    rows,
  };
}
