import { DomainError, isSluiceError, messageOf } from '../../domain/errors.ts';
import type { AnyPipeline } from '../../domain/pipeline.ts';
import type { Row } from '../../domain/row.ts';
import { withoutValues } from '../failures/without-values.ts';
import { ignoreRejection } from '../failures/ignore-rejection.ts';
import type { SchemaIssue, StandardSchema } from '../../domain/standard-schema.ts';

/**
 * Row in, messages out: the pipeline's schema and its `transform`.
 *
 * @throws DomainError `E_SCHEMA`, `E_TRANSFORM`, or whatever DomainError the pipeline throws
 */
export function createRowTransformer(pipeline: AnyPipeline): (row: Row) => readonly unknown[] {
  const { schema } = pipeline.source;
  return (row) => {
    const valid = schema === undefined ? row : validate(schema, row);
    return asMessages(callTransform(pipeline, valid as Row));
  };
}

function callTransform(pipeline: AnyPipeline, row: Row): unknown {
  try {
    return pipeline.transform(row);
  } catch (thrown) {
    if (isSluiceError(thrown) && thrown.kind === 'domain') throw thrown;
    throw new DomainError(`transform threw: ${messageOf(thrown)}`, { code: 'E_TRANSFORM', cause: thrown });
  }
}

function asMessages(output: unknown): readonly unknown[] {
  if (output === null || output === undefined) return [];
  const messages = Array.isArray(output)
    ? output.filter((message) => message !== null && message !== undefined)
    : [output];
  if (messages.filter(ignoreRejection).length === 0) return messages;
  throw new DomainError('transform returned a promise; it has to be synchronous', { code: 'E_TRANSFORM' });
}

function validate(schema: StandardSchema<unknown>, row: Row): unknown {
  let result;
  try {
    result = schema['~standard'].validate(row);
  } catch (thrown) {
    const text = withoutValues(messageOf(thrown), row);
    throw new DomainError(`the schema threw: ${text}`, { code: 'E_SCHEMA', cause: thrown });
  }
  if (ignoreRejection(result)) {
    throw new DomainError('the schema answers with a promise; it has to be synchronous', {
      code: 'E_SCHEMA',
    });
  }
  if (result.issues !== undefined) {
    const text = result.issues.map(describeIssue).join('; ');
    throw new DomainError(withoutValues(text, row), { code: 'E_SCHEMA' });
  }
  return result.value;
}

function describeIssue(issue: SchemaIssue): string {
  const path = (issue.path ?? []).map((part) => String(typeof part === 'object' ? part.key : part)).join('.');
  return path === '' ? issue.message : `${path}: ${issue.message}`;
}
