import { describe, expect, it } from 'vitest';
import { InfrastructureError } from '../../src/domain/errors.ts';
import {
  asksForMigration,
  migrateFunction,
  type MigratePorts,
} from '../../src/entrypoints/lambda/handle-migrate.ts';
import { World } from './harness.ts';

const report = { schema: 'sluice', from: 0, to: 1, steps: ['tables'] };

function migrateWith(world: World, tables: MigratePorts['tables']) {
  return migrateFunction('analyze', world.pipeline, world.surroundings, async () => ({ tables }));
}

describe('a call for the tables', () => {
  it('is told from the events of analyze', () => {
    expect(asksForMigration({ migrate: true })).toBe(true);
    for (const event of [{ publish: true }, { Records: [] }, null, 'migrate', []])
      expect(asksForMigration(event)).toBe(false);
  });

  it('makes them, and tells what was done', async () => {
    const world = new World();
    const migrate = migrateWith(world, { migrate: async () => report });
    expect(await migrate({ migrate: true, pipeline: 'lanes' }, world.context())).toEqual(report);
  });

  it('has nothing to do where results lie in S3', async () => {
    const world = new World();
    expect(await migrateWith(world, null)({ migrate: true }, world.context())).toEqual({ schema: null });
  });

  it('says what to do where the user may not', async () => {
    const world = new World();
    const refuse = async () => {
      throw new InfrastructureError('db:5432/lake refuses: permission denied for database lake', {
        code: 'E_ACCESS_DENIED',
      });
    };
    const reply = await migrateWith(world, { migrate: refuse })({ migrate: true }, world.context());
    expect(reply).toEqual({
      denied: expect.stringMatching(
        /permission denied for database lake.*grant it that, or run `sluice migrate --database/,
      ) as unknown,
    });
    expect(world.errors()).toHaveLength(1);
  });

  it('fails where the database cannot be reached', async () => {
    const world = new World();
    const cause = new InfrastructureError('db cannot be reached', { code: 'E_INFRASTRUCTURE' });
    const migrate = migrateWith(world, { migrate: () => Promise.reject(cause) });
    await expect(migrate({ migrate: true }, world.context())).rejects.toBe(cause);
  });

  it.each([
    [{ migrate: false }, /migrate must be true/],
    [{ migrate: true, schema: 'other' }, /schema is not known/],
    [{ migrate: true, pipeline: 'other' }, /pipeline is other/],
  ])('that makes no sense is told so: %j', async (event, message) => {
    const world = new World();
    await expect(
      migrateWith(world, { migrate: async () => report })(event, world.context()),
    ).rejects.toMatchObject({ code: 'E_EVENT', message: expect.stringMatching(message) as unknown });
  });
});
