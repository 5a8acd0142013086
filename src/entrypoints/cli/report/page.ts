import { createHash } from 'node:crypto';
import type { ReportPageData } from '../run-report.ts';
import { readChartLibrary } from './chart-library.ts';
import { clientData } from './client-data.ts';
import { html, inlineJson, type Html } from './html.ts';
import {
  balanceSection,
  detailsSection,
  failuresSection,
  findingsSection,
  groupsSection,
  headerSection,
  throughputSection,
} from './page-sections.ts';
import { pageScript } from './page-script.ts';
import { pageStyle } from './page-style.ts';

/**
 * The report of a run as one HTML page that needs nothing else: it opens from a file, loads nothing, and its own
 * content policy forbids it to. Scripts and styles are allowed by their digests alone, so that data could not
 * run even where it were not escaped.
 */
export async function renderReportPage(data: ReportPageData): Promise<string> {
  const library = await readChartLibrary();
  const script = pageScript();
  const client = clientData(data);
  const policy = [
    "default-src 'none'",
    `script-src ${digestOf(library)} ${digestOf(script)}`,
    `style-src ${digestOf(pageStyle)}`,
    'img-src data:',
    "base-uri 'none'",
    "form-action 'none'",
  ].join('; ');
  return html`<!doctype html>
    <html lang="en">
      <head>
        <meta charset="utf-8" />
        <meta http-equiv="Content-Security-Policy" content="${{ markup: policy }}" />
        <meta name="viewport" content="width=device-width, initial-scale=1" />
        <meta name="referrer" content="no-referrer" />
        <title>${data.report.pipeline} v${data.report.version} · Sluice</title>
        <link rel="icon" href="data:," />
        ${{ markup: `<style>${pageStyle}</style>` }}
      </head>
      <body>
        <main>
          ${headerSection(data)} ${groupsSection(client)} ${throughputSection(client)}
          <div class="columns">${failuresSection(data)} ${findingsSection(data)}</div>
          ${balanceSection(data)} ${detailsSection(data)}
          <footer>
            Made by Sluice ${data.sluiceVersion}. This page loads nothing from anywhere. Charts: Chart.js, MIT
            licence.
          </footer>
        </main>
        <script type="application/json" id="data">
          ${{ markup: inlineJson(client) }}
        </script>
        ${scriptElement(library)} ${scriptElement(script)}
      </body>
    </html> `.markup;
}

function scriptElement(source: string): Html {
  // Not data, but code of this package and of the library: it must not end its own element.
  if (/<\/script|<!--/i.test(source))
    throw new Error('a script of the report page holds the end of its element');
  return { markup: `<script>${source}</script>` };
}

function digestOf(source: string): string {
  return `'sha256-${createHash('sha256').update(source).digest('base64')}'`;
}
