import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { licenceDocs } from './supply-chain/licences.ts';
import { publishedFolders, root } from './supply-chain/lockfile.ts';

writeFileSync(join(root, 'docs/licences.md'), licenceDocs(publishedFolders));
