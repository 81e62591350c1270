import { Document, HeadingLevel, Packer, Paragraph, Table, TableCell, TableRow, TextRun, WidthType } from 'docx';

const bands = [
  ['Band', 'Role', 'Lowest salary', 'Highest salary'],
  ['H1', 'Technician', '34,200 euros', '41,500 euros'],
  ['H2', 'Senior technician', '40,800 euros', '49,300 euros'],
  ['H3', 'Calibration engineer', '48,600 euros', '60,400 euros'],
  ['H4', 'Senior calibration engineer', '59,700 euros', '74,900 euros'],
  ['H5', 'Team lead', '71,300 euros', '88,200 euros'],
  ['H6', 'Head of department', '86,500 euros', '112,000 euros'],
];

const supplements = [
  ['Supplement', 'Amount', 'Who has it'],
  ['On call', '310 euros a week', 'field service, in the weeks of their rota'],
  ['First aid', '45 euros a month', 'named first aiders, at most eight'],
  ['Languages', '60 euros a month', 'field service in Lyon'],
];

/** @returns {Promise<Buffer>} the document for Human Resources: which role earns how much */
export const salaryBands = () => onFixedDay(() => Packer.toBuffer(composed()));

function composed() {
  return new Document({
    title: 'Salary bands 2026',
    creator: 'Human Resources',
    lastModifiedBy: 'Human Resources',
    description: 'Confidential',
    styles: { default: { document: { run: { font: 'Calibri', size: 22 } } } },
    sections: [
      {
        children: [
          heading('Salary bands 2026', HeadingLevel.TITLE),
          text('Confidential. For members of Human Resources only; do not forward.', { italics: true }),
          heading('How the bands are used', HeadingLevel.HEADING_1),
          text(
            'Every role belongs to one salary band. Salaries are gross, for a year of 37.5 hours a week, and are reviewed in ' +
              'April. A new colleague starts in the lower half of the band. A salary above the band needs the signature of the ' +
              'managing director.',
          ),
          heading('Bands', HeadingLevel.HEADING_1),
          text('The bands are valid from 1 April 2026. They rose by 3.1 percent against 2025.'),
          grid(bands),
          heading('Supplements', HeadingLevel.HEADING_1),
          text('Supplements are paid on top of the salary and do not count towards the band.'),
          grid(supplements),
          heading('Moving to the next band', HeadingLevel.HEADING_1),
          text(
            'A move to the next band is proposed by the team lead before 15 February and decided by Human Resources before the ' +
              'end of March. It raises the salary by 6 percent or to the lowest salary of the new band, whichever is more.',
          ),
        ],
      },
    ],
  });
}

/**
 * @param {string} words
 * @param {(typeof HeadingLevel)[keyof typeof HeadingLevel]} level
 */
const heading = (words, level) => new Paragraph({ text: words, heading: level, spacing: { before: 240, after: 120 } });

/**
 * @param {string} words
 * @param {{ italics?: boolean, bold?: boolean }} [style]
 */
const text = (words, style = {}) =>
  new Paragraph({ children: [new TextRun({ text: words, ...style })], spacing: { after: 120 } });

/** @param {string[][]} rows the first of them is the header */
const grid = ([head = [], ...rows]) =>
  new Table({
    width: { size: 100, type: WidthType.PERCENTAGE },
    rows: [
      new TableRow({ tableHeader: true, children: head.map((words) => cell(words, { bold: true })) }),
      ...rows.map((row) => new TableRow({ children: row.map((words) => cell(words)) })),
    ],
  });

/**
 * @param {string} words
 * @param {{ bold?: boolean }} [style]
 */
const cell = (words, style) =>
  new TableCell({ children: [text(words, style)], margins: { top: 40, bottom: 40, left: 100, right: 100 } });

/**
 * `docx` writes the current time into the document's properties and into every entry of the archive, and takes no other.
 *
 * @template T
 * @param {() => Promise<T>} work
 */
async function onFixedDay(work) {
  const RealDate = Date;
  const day = RealDate.UTC(2026, 0, 5, 9);
  globalThis.Date = class extends RealDate {
    /** @param {unknown[]} given */
    constructor(...given) {
      // @ts-expect-error a Date takes one to seven arguments
      super(...(given.length > 0 ? given : [day]));
    }

    static now() {
      return day;
    }
  };
  try {
    return await work();
  } finally {
    globalThis.Date = RealDate;
  }
}
