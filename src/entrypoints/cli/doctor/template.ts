import { DomainError, messageOf } from '../../../domain/errors.ts';

/** One resource of a template. */
export interface TemplateResource {
  readonly type: string;
  readonly properties: Readonly<Record<string, unknown>>;
}

/** Resources of one or several templates of CloudFormation, by logical id. */
export type Template = ReadonlyMap<string, TemplateResource>;

/**
 * Reads what `cdk synth` wrote, or what `aws cloudformation get-template` answered.
 *
 * @param name of the file, for the message
 * @throws DomainError `E_USAGE` where it is no template in JSON
 */
export function parseTemplate(text: string, name: string): Template {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (thrown) {
    throw new DomainError(`${name} is no JSON: ${messageOf(thrown)}`, { code: 'E_USAGE', cause: thrown });
  }
  // CloudFormation answers with the template in a field; as text, where it was put as text.
  const body = fieldOf(value, 'TemplateBody');
  if (typeof body === 'string') return parseTemplate(body, name);
  const resources = fieldOf(body ?? value, 'Resources');
  if (typeof resources !== 'object' || resources === null)
    throw new DomainError(`${name} is no template of CloudFormation: it has no Resources`, {
      code: 'E_USAGE',
    });
  return new Map(
    Object.entries(resources).map(([id, resource]) => {
      const { Type: type, Properties: properties } = resource as { Type: string; Properties?: object };
      return [id, { type, properties: (properties ?? {}) as Record<string, unknown> }];
    }),
  );
}

export function ofType(template: Template, type: string): readonly (readonly [string, TemplateResource])[] {
  return [...template].filter(([, resource]) => resource.type === type);
}

export function fieldOf(value: unknown, ...path: readonly string[]): unknown {
  let field: unknown = value;
  for (const name of path) {
    if (typeof field !== 'object' || field === null) return undefined;
    field = (field as Record<string, unknown>)[name];
  }
  return field;
}

/** A number, also as text. Expressions of CloudFormation are none. */
export function numberOf(value: unknown): number | undefined {
  if (typeof value === 'number') return value;
  return typeof value === 'string' && /^-?\d+(\.\d+)?$/.test(value) ? Number(value) : undefined;
}

/** The resource of the template that an expression refers to: `{Ref}`, `{Fn::GetAtt}`. */
export function referredTo(value: unknown): string | undefined {
  const ref = fieldOf(value, 'Ref');
  if (typeof ref === 'string') return ref;
  const attribute = fieldOf(value, 'Fn::GetAtt');
  if (typeof attribute === 'string') return attribute.split('.')[0];
  const [id] = Array.isArray(attribute) ? (attribute as unknown[]) : [];
  return typeof id === 'string' ? id : undefined;
}
