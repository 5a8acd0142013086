import path from 'node:path';
import { Container } from 'inversify';
import { describe, expect, it } from 'vitest';
import {
  ambientModule,
  deliveryModule,
  inMemoryLakeModule,
  inMemoryTokens,
} from '../../src/adapters/inmemory/module.ts';
import {
  localKilledRowsModule,
  localLakeModule,
  localLedgerModule,
  localResultsModule,
} from '../../src/adapters/local/module.ts';
import { tokens } from '../../src/adapters/tokens.ts';
import { removeFolder, scratchFolder } from './local/scratch.ts';

const ports = Object.values(tokens);
const mergeStates = (stored: Uint8Array) => stored;

function container(): Container {
  const made = new Container();
  made.bind(tokens.mergeStates).toConstantValue(mergeStates);
  made.load(ambientModule(), deliveryModule({ stream: { partitions: 4 } }));
  return made;
}

describe('The bindings', () => {
  it('of the in-memory provider fill every port, once', async () => {
    const made = container();
    made.load(inMemoryLakeModule());
    for (const port of ports) expect(await made.getAsync(port)).toBe(await made.getAsync(port));
    expect(made.get(tokens.recordSink)).toBe(made.get(inMemoryTokens.stream));
    expect(made.get(tokens.taskQueue)).toBe(made.get(inMemoryTokens.queue));
    expect(made.get(inMemoryTokens.stream).partitions).toBe(4);
  });

  it('of two providers for one port are refused when it is asked for', () => {
    const made = container();
    made.load(inMemoryLakeModule(), localLakeModule());
    expect(() => made.get(tokens.objectSource)).toThrow(/ambiguous/i);
  });

  it('of the local provider fill what the in-memory one leaves open', async () => {
    const folder = await scratchFolder();
    try {
      const made = container();
      const outputFolder = path.join(folder, 'out');
      made.load(
        localLakeModule({ outputFolder, log: { level: 'silent' } }),
        localLedgerModule({ outputFolder, payloadToJson: () => 'null' }),
        localKilledRowsModule(outputFolder),
        localResultsModule({ outputFolder }),
      );
      for (const port of ports) expect(await made.getAsync(port)).toBe(await made.getAsync(port));
      await (await made.getAsync(tokens.resultStore)).close();
    } finally {
      await removeFolder(folder);
    }
  });
});
