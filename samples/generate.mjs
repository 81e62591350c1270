import { writeFile } from 'node:fs/promises';
import { salaryBands } from './generate/salary-bands.mjs';
import { scaleManual } from './generate/scale-x200-manual.mjs';

// Writes the two samples that are not plain text: `node samples/generate.mjs`. Dates and ids are fixed, so a second run
// on the same machine gives the same bytes; another Node may compress the PDF's streams differently.

// The entries of a .docx carry local time.
process.env.TZ = 'UTC';

const files = { 'salary-bands.docx': salaryBands, 'scale-x200-manual.pdf': scaleManual };

for (const [name, make] of Object.entries(files)) {
  const bytes = await make();
  await writeFile(new URL(name, import.meta.url), bytes);
  console.log(`${name}: ${bytes.length} bytes`);
}
