// Run by the tests in a process of its own: a test runner has its own way of importing, which is not what users have.
import { isSluiceError } from '../../src/domain/errors.ts';
import { loadPipeline } from '../../src/entrypoints/cli/load-pipeline.ts';

const answers: unknown[] = [];
for (const path of process.argv.slice(2)) {
  try {
    const { pipeline, build } = await loadPipeline(path);
    const messages = pipeline.name === 'loaded' ? pipeline.transform({ value: 20 }) : undefined;
    answers.push({ name: pipeline.name, version: pipeline.version, build, messages });
  } catch (error) {
    if (!isSluiceError(error)) throw error;
    answers.push({ code: error.code, message: error.message, cause: error.cause instanceof Error });
  }
}
process.stdout.write(JSON.stringify(answers));
