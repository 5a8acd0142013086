import { mkdir } from 'node:fs/promises';
import { describe, expect, test } from 'vitest';
import { Scratch } from '../harness.ts';
import { propertiesOf, realManifest, realTemplate, type EditableTemplate } from './real-stack.ts';

describe('sluice doctor', { timeout: 60_000 }, () => {
  test('passes the stack as it is, alone and out of a folder, and says what it could not compare', async () => {
    await using scratch = await Scratch.make();
    await scratch.write('lanes.template.json', realTemplate);
    const alone = await scratch.sluice('doctor', 'lanes.template.json');
    expect(alone).toMatchObject({ code: 0, stderr: '' });
    expect(alone.stdout).toContain('the stack is as it has to be');
    expect(alone.stdout).toContain('were not compared: give --build');
    await scratch.write('manifest.json', JSON.stringify(realManifest));
    const folder = await scratch.sluice('doctor', '.', '--build', '.', '--json');
    expect(folder).toMatchObject({ code: 0, stdout: '{"build":".","problems":[]}\n' });
  });

  test('finds the build that the templates lie in', async () => {
    await using scratch = await Scratch.make();
    await mkdir(scratch.path('sluice-build/cdk.out'), { recursive: true });
    await scratch.write('sluice-build/cdk.out/lanes.template.json', realTemplate);
    // The CDK's own.
    await scratch.write('sluice-build/cdk.out/manifest.json', '{"version":"45.0.0","artifacts":{}}');
    const other = { ...realManifest, build: 'another build' };
    await scratch.write('sluice-build/manifest.json', JSON.stringify(other));
    for (const given of ['sluice-build/cdk.out', 'sluice-build/cdk.out/lanes.template.json']) {
      const { code, stdout } = await scratch.sluice('doctor', given);
      expect(code).toBe(0);
      expect(stdout).toContain('D_BUILD');
    }
    const wrong = await scratch.sluice('doctor', 'sluice-build', '--build', 'sluice-build/cdk.out');
    expect(wrong).toMatchObject({ code: 1 });
    expect(wrong.stderr).toContain('of something else');
  });

  test('ends with 2 where something is wrong, and says what and what to do; warnings are no errors', async () => {
    await using scratch = await Scratch.make();
    const template = JSON.parse(realTemplate) as EditableTemplate;
    const mapping = propertiesOf(template, 'AWS::Lambda::EventSourceMapping', 'PipelineFramesToAnalyze');
    mapping['BisectBatchOnFunctionError'] = false;
    await scratch.write('warned.json', JSON.stringify(template));
    delete mapping['MaximumRetryAttempts'];
    await scratch.write('bad.json', JSON.stringify(template));
    const warned = await scratch.sluice('doctor', 'warned.json');
    expect(warned.code).toBe(0);
    expect(warned.stdout).toContain('0 errors, 1 warnings');
    const bad = await scratch.sluice('doctor', 'bad.json');
    expect(bad.code).toBe(2);
    expect(bad.stdout).toMatch(
      /error D_ENDLESS_RETRIES PipelineFramesToAnalyze\w+\n {2}.*\n {2}Set MaximumRetryAttempts/,
    );
    const json = await scratch.sluice('doctor', 'bad.json', '--json');
    expect(
      (JSON.parse(json.stdout) as { problems: { code: string }[] }).problems.map(({ code }) => code),
    ).toEqual(['D_ENDLESS_RETRIES', 'D_BISECT']);
  });

  test('reads logs from a pipe and a file, and shows nothing of them that could harm a terminal', async () => {
    await using scratch = await Scratch.make();
    const lines = ['fine', '\u001b[2J Task timed out after 3.00 seconds', ''].join('\n');
    const piped = await scratch.start(['doctor', '--logs', '-'], { input: lines }).ended;
    expect(piped.code).toBe(2);
    expect(piped.stdout).toContain('L_TIMED_OUT 1 ×');
    expect(piped.stdout).not.toContain('\u001b');
    await scratch.write('quiet.log', 'fine\nfine\n');
    const quiet = await scratch.sluice('doctor', '--logs', 'quiet.log', '--json');
    expect(quiet).toMatchObject({ code: 0, stdout: '{"logs":{"lines":2,"findings":[]}}\n' });
  });

  test('refuses what it cannot check', async () => {
    await using scratch = await Scratch.make();
    await scratch.write('empty.json', '{"Resources":{}}');
    for (const [args, message] of [
      [[], /there is nothing to check/],
      [['gone.json'], /gone\.json: there is no such file/],
      [['empty.json'], /there is no function of Sluice in empty\.json/],
      [['.'], /there is no \*\.template\.json/],
      [['--logs', 'gone.log'], /gone\.log cannot be read/],
    ] as const) {
      const { code, stderr } = await scratch.sluice('doctor', ...args);
      expect(code).toBe(1);
      expect(stderr).toMatch(message);
    }
  });
});
