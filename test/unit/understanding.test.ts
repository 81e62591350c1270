import { describe, expect, it } from 'vitest';
import { metadataTerms } from '../../src/knowledge/document-terms.js';
import { withPlainYears } from '../../src/knowledge/years.js';
import { literalShare, understand } from '../../src/retrieval/understanding.js';

describe('a question is understood without a model', () => {
  it.each([
    ['straight quotes', 'who wrote "annual leave policy" and why', ['annual leave policy']],
    ['English quotes', 'where is “Data  Protection” told', ['data protection']],
    ['German quotes', 'wo steht „Recht auf Löschung“ genau', ['recht auf löschung']],
    ['French quotes', 'que dit « droit à l’oubli » ici', ['droit à l’oubli']],
    ['a comma inside the quotes', 'find "notice period," please', ['notice period']],
    ['two phrases', '"one two" or "three four"', ['one two', 'three four']],
    ['inches, which are no quotes', 'a 15" laptop and a 13" screen', []],
    ['nothing between them', 'what is "" and "..."', []],
  ])('phrases: %s', (_name, question, phrases) => {
    expect(understand(question).phrases).toEqual(phrases);
  });

  it.each([
    'ERR_CONN_RESET',
    'ORA-00942',
    '0x80070005',
    'CVE-2021-44228',
    'v1.2.3',
    '10.15.7',
    'SKU-4711-B',
    'KB5005565',
    'max_connections',
    'getUserName',
    'NullPointerException',
    'System.OutOfMemoryException',
    'spring.datasource.url',
  ])('an identifier is told from words: %s', (identifier) => {
    const understood = understand(`What does ${identifier} mean, and (${identifier})?`);
    expect(understood.identifiers).toEqual([identifier.toLowerCase()]);
  });

  it.each([
    'FY2022',
    '10-K',
    'COVID-19',
    'Q2-2023',
    'mid-1990s',
    'iPhone',
    'PepsiCo',
    'year-over-year',
    'U.S.',
    'e.g.',
    'amazon.com',
    '365',
    '1,000',
    'and/or',
    'mRNA',
  ])('what people write as a matter of course is none: %s', (word) => {
    expect(understand(`What about ${word} and so on?`).identifiers).toEqual([]);
  });

  it('at most eight of them are looked for', () => {
    const codes = Array.from({ length: 20 }, (_, n) => `ORA-${10_000 + n}`);
    expect(understand(codes.join(' ')).identifiers).toHaveLength(8);
  });
});

const passage = (text: string, title = '', section: string[] = []) => ({ title, section, text });

describe('a literal stands in a passage', () => {
  it('as it was written, but for case, spaces and width of letters', () => {
    const asked = understand('the "Annual Leave" rule');
    expect(literalShare(asked, passage('All about ANNUAL\n leave.'))).toBe(1);
    expect(literalShare(asked, passage('All about ａｎｎｕａｌ leave.'))).toBe(1);
    expect(literalShare(asked, passage('Leave is annual.'))).toBe(0);
    expect(literalShare(asked, passage('The biannual leave.'))).toBe(0);
    expect(literalShare(asked, passage('Something else.', 'Annual leave'))).toBe(0);
  });

  it('also when it is written without spaces around it', () => {
    expect(literalShare(understand('「年次休暇」 “年次休暇”'), passage('これは年次休暇の規則です'))).toBe(1);
  });

  it('whole: a longer identifier is another one', () => {
    const asked = understand('meaning of ORA-00942');
    for (const text of ['ORA-00942: table or view', 'see (ORA-00942).', 'ora-00942'])
      expect(literalShare(asked, passage(text))).toBe(1);
    for (const text of ['ORA-009421', 'XORA-00942', 'ORA-00942-7', 'ORA 00942', 'ORA-00943 and 00942'])
      expect(literalShare(asked, passage(text))).toBe(0);
    expect(literalShare(asked, passage('Table or view does not exist.', 'ORA-00942'))).toBe(1);
    expect(literalShare(understand('what is new in v1.2.3'), passage('Since v1.2.3.'))).toBe(1);
    expect(literalShare(understand('what is new in v1.2.3'), passage('Since v1.2.30 or v1.2.3.4'))).toBe(0);
  });

  it('in part: a passage with one of two has half', () => {
    expect(literalShare(understand('ERR_A_B or ERR_C_D'), passage('ERR_A_B only'))).toBe(0.5);
  });

  it('and says nothing where the question has none', () => {
    expect(literalShare(understand('how many days of leave'), passage('days of leave'))).toBeNull();
  });
});

describe('a year', () => {
  it.each([
    ['in FY2022 for 3M', 'in FY2022 2022 for 3M'],
    ['between FY20 and FY21?', 'between FY20 2020 and FY21 2021?'],
    ['fiscal year ’98', 'fiscal year ’98 1998'],
    ['H1 FY 23', 'H1 FY 23 2023'],
  ])('is written out: %s', (given, expected) => {
    expect(withPlainYears(given)).toBe(expected);
  });

  it.each(['fiscal 2022', 'in 2022', 'FY 2022', 'comfy22', 'FY222', 'FY20223', 'the 22 of them'])(
    'that is plain already, or is none, is left alone: %s',
    (text) => expect(withPlainYears(text)).toBe(text),
  );

  it('of a document is its year, however its metadata writes it', () => {
    const plain = metadataTerms({ year: 2022 }).split(':')[0]?.slice(1);
    for (const period of ['FY22', 'FY2022', '2022-12-31', 'fiscal year 2022'])
      expect(metadataTerms({ period })).toContain(`${plain}:`);
  });
});
