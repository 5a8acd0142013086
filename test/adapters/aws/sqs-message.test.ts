import { describe, expect, it } from 'vitest';
import { bodyOfTask, messageLineOfBody, taskOfBody } from '../../../src/adapters/aws/sqs-message.ts';
import type { Task } from '../../../src/domain/section.ts';
import { MemoryClaims } from './memory-claims.ts';

const never = new AbortController().signal;
const claims = new MemoryClaims();

const task: Task = {
  id: 't1',
  run: 'r1',
  generation: 'flights@1',
  build: 'b1',
  epoch: 0,
  where: null,
  object: { bucket: 'lake', key: 'a.csv', version: 'v1', size: 0 },
  sections: { from: 2, to: 5 },
  start: 77,
  done: [3],
};

describe('taskOfBody', () => {
  it('gives a task back as it was, also by claim', async () => {
    const body = bodyOfTask(task);
    expect(await taskOfBody(body, claims, never)).toEqual(task);
    const claim = Buffer.from(await claims.check(Buffer.from(body), never)).toString();
    expect(await taskOfBody(claim, claims, never)).toEqual(task);
  });

  const without = (name: keyof Task) => {
    const { [name]: _, ...rest } = task;
    return rest;
  };
  const wrong: Record<string, unknown> = {
    null: null,
    'a list': [task],
    text: 'task',
    'no id': without('id'),
    'no predicate, not even none': without('where'),
    'no object': without('object'),
    'no done': without('done'),
    'an empty build': { ...task, build: '' },
    'a negative epoch': { ...task, epoch: -1 },
    'a key that is a number': { ...task, object: { ...task.object, key: 5 } },
    'no version': { ...task, object: { ...task.object, version: undefined } },
    'a size that is text': { ...task, object: { ...task.object, size: '7' } },
    'sections the wrong way round': { ...task, sections: { from: 5, to: 2 } },
    'sections without an end': { ...task, sections: { from: 5 } },
    'half a section': { ...task, sections: { from: 0.5, to: 2 } },
    'a start beyond what numbers hold': { ...task, start: 2 ** 60 },
    'a section that is done and no number': { ...task, done: ['3'] },
    'a predicate with an operator that there is not': { ...task, where: { a: { $regex: 'x' } } },
    'an S3 event': { Records: [{ s3: { bucket: { name: 'lake' } } }] },
  };
  it.each(Object.keys(wrong))('refuses %s', async (name) => {
    await expect(taskOfBody(JSON.stringify(wrong[name]), claims, never)).rejects.toMatchObject({
      kind: 'domain',
      code: 'E_TASK_INVALID',
      retryable: false,
    });
  });

  it('refuses what is no JSON, and quotes none of it', async () => {
    const refusal = taskOfBody('{"secret": 5', claims, never);
    await expect(refusal).rejects.toMatchObject({ code: 'E_TASK_INVALID' });
    await expect(refusal).rejects.not.toHaveProperty('cause');
    await expect(refusal).rejects.not.toMatchObject({ message: expect.stringContaining('secret') as string });
  });
});

describe('messageLineOfBody', () => {
  it('gives one line, whatever the white space, and leaves what the values say', async () => {
    const body = '{\r\n  "id": 12345678901234567890,\n  "text": "a\\nb  c"\n}\n';
    const line = Buffer.from(await messageLineOfBody(body, claims, never)).toString();
    expect(line).not.toMatch(/[\r\n]/);
    expect(line).toContain('12345678901234567890');
    expect(JSON.parse(line)).toEqual(JSON.parse(body));
  });

  it('redeems a message that is a claim', async () => {
    const claim = Buffer.from(await claims.check(Buffer.from('{"a":1}'), never)).toString();
    expect(Buffer.from(await messageLineOfBody(claim, claims, never)).toString()).toBe('{"a":1}');
  });

  it.each(['', 'text', '[1]', '5', 'null', '{"a":1}{"a":2}'])('refuses %j', async (body) => {
    await expect(messageLineOfBody(body, claims, never)).rejects.toMatchObject({
      kind: 'domain',
      code: 'E_JSON',
    });
  });
});
