import { describe, expect, it } from 'vitest';
import {
  databaseSettings,
  failureSettings,
  lakePlaces,
  lakeSettings,
  messageSettings,
  readSettings,
  reprocessRate,
  resultsSettings,
  streamSettings,
  taskQueueUrl,
} from '../../src/entrypoints/lambda/configuration.ts';

const all = (environment: Readonly<Record<string, string>>) =>
  readSettings(environment, (variables) => ({
    lake: lakeSettings(variables),
    stream: streamSettings(variables),
    database: databaseSettings(variables),
    failures: failureSettings(variables),
    tasks: taskQueueUrl(variables),
    messages: messageSettings(variables),
  }));

const sound = {
  SLUICE_BUCKET: 'state',
  SLUICE_STREAM_NAME: 'frames',
  SLUICE_DATABASE_URL: 'postgres://me:secret@db:5432/lake',
  SLUICE_FAILURE_QUEUE_URL: 'https://sqs.eu-central-1.amazonaws.com/111122223333/failures',
  SLUICE_TASK_QUEUE_URL: 'https://sqs.eu-central-1.amazonaws.com/111122223333/tasks',
};

describe('the environment', () => {
  it('gives settings, with their defaults', () => {
    expect(all(sound)).toEqual({
      lake: { bucket: 'state', pathStyle: false },
      stream: { streamName: 'frames', streamRecordBytes: 1_048_576 },
      database: { url: sound.SLUICE_DATABASE_URL, connections: 2 },
      failures: { failureQueueUrl: sound.SLUICE_FAILURE_QUEUE_URL },
      tasks: sound.SLUICE_TASK_QUEUE_URL,
      messages: { messageQueueUrl: undefined, redisUrl: undefined },
    });
  });

  it('says where the lake is, in any number of places', () => {
    const places = (SLUICE_LAKE: string) => readSettings({ SLUICE_LAKE }, lakePlaces);
    expect(places('')).toEqual([]);
    expect(places('s3://lake/flights/, s3://other/')).toEqual(['s3://lake/flights/', 's3://other/']);
    for (const wrong of ['lake/flights/', 's3://lake', 's3://lake/,x'])
      expect(() => places(wrong)).toThrow(/SLUICE_LAKE is no list/);
  });

  it('limits what events send again, where it is told to', () => {
    const rate = (SLUICE_REPROCESS_RATE: string) => readSettings({ SLUICE_REPROCESS_RATE }, reprocessRate);
    expect(rate('')).toBe(Number.POSITIVE_INFINITY);
    expect(rate('50')).toBe(50);
    for (const wrong of ['0', '-1', '1.5', 'fast'])
      expect(() => rate(wrong)).toThrow(/SLUICE_REPROCESS_RATE/);
  });

  it('that is wrong is told in one error that names all of it, and no secret', () => {
    const wrong = {
      SLUICE_BUCKET: '',
      SLUICE_STREAM_NAME: 'frames',
      SLUICE_STREAM_RECORD_BYTES: '1 MiB',
      SLUICE_DATABASE_URL: 'mysql://me:secret@db/lake',
      SLUICE_DATABASE_CONNECTIONS: '0',
      SLUICE_FAILURE_QUEUE_URL: 'failures',
      SLUICE_REDIS_URL: 'cache:6379',
      SLUICE_LOG_LEVEL: 'loud',
      SLUICE_S3_PATH_STYLE: 'yes',
    };
    const thrown = (() => {
      try {
        return all(wrong);
      } catch (error) {
        return error as Error & { code: string };
      }
    })();
    expect(thrown).toMatchObject({ code: 'E_CONFIGURATION', retryable: false });
    for (const name of [...Object.keys(wrong), 'SLUICE_TASK_QUEUE_URL'])
      if (name !== 'SLUICE_STREAM_NAME') expect((thrown as Error).message).toContain(name);
    expect((thrown as Error).message).not.toContain('secret');
  });
});

describe('the place of results', () => {
  const place = (environment: Readonly<Record<string, string>>) => readSettings(environment, resultsSettings);
  const database = { SLUICE_DATABASE_URL: sound.SLUICE_DATABASE_URL };

  it('is a database', () => {
    expect(place(database)).toEqual({
      kind: 'database',
      url: sound.SLUICE_DATABASE_URL,
      connections: 2,
    });
  });

  it.each([
    ['s3://bucket', 'bucket', ''],
    ['s3://bucket/', 'bucket', ''],
    ['s3://bucket/some/place', 'bucket', 'some/place/'],
    ['s3://bucket/some/place/', 'bucket', 'some/place/'],
  ])('or S3: %s', (location, bucket, prefix) => {
    expect(place({ SLUICE_RESULTS: location })).toEqual({ kind: 'lake', bucket, prefix, connections: 8 });
  });

  it.each([
    [{}, 'neither SLUICE_DATABASE_URL nor SLUICE_RESULTS'],
    [{ ...database, SLUICE_RESULTS: 's3://bucket' }, 'both set'],
    [{ SLUICE_RESULTS: 's3:///prefix' }, 'SLUICE_RESULTS is no place on S3'],
    [{ SLUICE_RESULTS: 'https://me:secret@bucket' }, 'SLUICE_RESULTS is no place on S3'],
  ])('is one of both: %j is refused', (environment, message) => {
    const refusal = expect.stringContaining(message) as string;
    expect(() => place(environment)).toThrow(
      expect.objectContaining({ code: 'E_CONFIGURATION', message: refusal }),
    );
    expect(() => place(environment)).not.toThrow('secret');
  });
});
