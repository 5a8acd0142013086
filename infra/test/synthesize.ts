import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Template } from 'aws-cdk-lib/assertions';
import { sluiceApp } from '../src/app.ts';
import type { BuildManifest } from '../src/manifest.ts';
import { BuildFolder } from './build-folder.ts';

export interface Synthesized {
  readonly foundation: Template;
  readonly pipeline: Template;
}

type Context = Readonly<Record<string, string>>;

/** What the app makes of parameters of the command line, without the checks of cdk-nag: `findings` runs those. */
export function templates(context: Context = {}, manifest: Partial<BuildManifest> = {}): Synthesized {
  using folder = new BuildFolder(manifest);
  const { foundation, pipeline } = sluiceApp(
    { context: { build: folder.path, lake: 'flights', ...context } },
    { checks: false },
  );
  return {
    foundation: foundation === null ? Template.fromJSON({ Resources: {} }) : Template.fromStack(foundation),
    pipeline: Template.fromStack(pipeline),
  };
}

/** What the checks find, as `rule: construct`; CDK's own of CloudFormation, too. Empty: the synthesis passes. */
export function findings(
  context: Context = {},
  manifest: Partial<BuildManifest> = {},
  change: (made: ReturnType<typeof sluiceApp>) => void = () => undefined,
): string[] {
  using folder = new BuildFolder(manifest);
  const outdir = mkdtempSync(join(tmpdir(), 'sluice-synth-'));
  try {
    const made = sluiceApp({
      context: {
        build: folder.path,
        lake: 'flights',
        '@aws-cdk/core:failSynthOnValidationErrors': false,
        ...context,
      },
      outdir,
    });
    change(made);
    made.app.synth();
    const report = JSON.parse(
      readFileSync(join(outdir, 'validation-report.json'), 'utf8'),
    ) as ValidationReport;
    return report.pluginReports.flatMap(({ violations }) =>
      violations.flatMap(({ ruleName, violatingConstructs }) =>
        violatingConstructs.map(({ constructPath }) => `${ruleName}: ${constructPath}`),
      ),
    );
  } finally {
    rmSync(outdir, { recursive: true });
  }
}

interface ValidationReport {
  readonly pluginReports: readonly {
    readonly pluginName: string;
    readonly violations: readonly {
      readonly ruleName: string;
      readonly violatingConstructs: readonly { readonly constructPath: string }[];
    }[];
  }[];
}

export interface Resource {
  readonly Type: string;
  readonly Properties: Readonly<Record<string, unknown>>;
}

/** The resources of a type, by logical id. */
export function resources(template: Template, type: string): Readonly<Record<string, Resource>> {
  return template.findResources(type) as Readonly<Record<string, Resource>>;
}

/** The one resource of a type whose logical id starts so. */
export function resource(template: Template, type: string, start: string): Resource {
  const found = Object.entries(resources(template, type)).filter(([id]) => id.startsWith(start));
  if (found.length !== 1 || found[0] === undefined)
    throw new Error(`${type} ${start}…: ${found.map(([id]) => id).join(', ') || 'none'}`);
  return found[0][1];
}

/** An expression of CloudFormation as a person writes it: `<Bucket.Arn>/claims/*`. */
export function textOf(value: unknown): string {
  if (typeof value === 'string') return value;
  if (typeof value === 'object' && value !== null) {
    const [[name, argument] = ['', undefined]] = Object.entries(value);
    if (name === 'Ref') return `<${shortId(argument as string)}>`;
    if (name === 'Fn::GetAtt') {
      const [id = '', attribute = ''] = argument as string[];
      return `<${shortId(id)}.${attribute}>`;
    }
    if (name === 'Fn::Join') {
      const [separator, parts] = argument as [string, unknown[]];
      return parts.map(textOf).join(separator);
    }
    if (name === 'Fn::ImportValue') return `<${shortId(textOf(argument))}>`;
  }
  return JSON.stringify(value);
}

/** Without CDK's digest of the path. */
function shortId(id: string): string {
  return id.replace(/[0-9A-F]{8}(?=$|[A-Z][a-zA-Z]*$)/, '').replace(/^AWS::/, '');
}
