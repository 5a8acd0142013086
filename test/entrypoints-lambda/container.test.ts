import { ContainerModule } from 'inversify';
import { expect, it } from 'vitest';
import { InMemoryLog } from '../../src/adapters/inmemory/log.ts';
import { InMemoryMetrics } from '../../src/adapters/inmemory/metrics.ts';
import { token, tokens } from '../../src/adapters/tokens.ts';
import { composed, optional } from '../../src/entrypoints/lambda/container.ts';
import { ownedBy } from '../../src/entrypoints/lambda/owners.ts';
import { World } from './harness.ts';

it('what shared adapters say and count is the invocation’s that they work for just then', async () => {
  const world = new World();
  const { log, metrics } = await composed(world.surroundings, [], async (container) => ({
    log: container.get(tokens.log),
    metrics: container.get(tokens.metrics),
  }));
  const owner = { log: new InMemoryLog(), metrics: new InMemoryMetrics(), fail: () => undefined };
  await ownedBy(owner, async () => {
    await Promise.resolve();
    log.warn({ attempt: 1 }, 'of an invocation');
    metrics.add('retries', 3);
  });
  log.info({}, 'of nobody');
  metrics.add('retries', 1);
  expect(owner.log.lines.map(({ message }) => message)).toEqual(['of an invocation']);
  expect(owner.metrics.total('retries')).toBe(3);
  expect(world.log.lines.map(({ message }) => message)).toEqual(['of nobody']);
});

it('an attempt that fails leaves nothing open', async () => {
  const client = token<{ name: string }>('test.client');
  const closed: string[] = [];
  let made = 0;
  const module = () =>
    new ContainerModule(({ bind }) => {
      bind(client)
        .toResolvedValue(() => ({ name: `client ${++made}` }))
        .inSingletonScope()
        .onDeactivation(({ name }) => void closed.push(name));
    });
  const { surroundings } = new World();
  await expect(
    composed(surroundings, [module()], async (container) => {
      container.get(client);
      throw new Error('the next one cannot be opened');
    }),
  ).rejects.toThrow('cannot be opened');
  expect(closed).toEqual(['client 1']);
  const second = await composed(surroundings, [module()], async (container) => container.get(client).name);
  expect(second).toBe('client 2');
  expect(closed).toEqual(['client 1']);
});

it('a port that a function may do without is null where nothing is bound', async () => {
  const { surroundings } = new World();
  const dedup = await composed(surroundings, [], async (container) => optional(container, tokens.dedupStore));
  expect(dedup).toBeNull();
});
