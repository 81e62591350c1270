import { describe, expect, it } from 'vitest';
import { cite, CitedStream, dropUnknown } from '../../src/chat/citations.js';
import { coverage, sentences, topic } from '../../src/chat/evidence.js';
import { extract } from '../../src/chat/extractive.js';
import { notFoundToken, type PromptPassage, type StructuredPrompt } from '../../src/chat/prompt.js';

function passage(marker: number, text: string, more: Partial<PromptPassage> = {}): PromptPassage {
  return {
    marker,
    document: {
      id: `doc_${marker}`,
      externalId: null,
      title: `Document ${marker}`,
      sourceUrl: null,
      sourceUpdatedAt: null,
      metadata: {},
    },
    revision: `rev_${marker}`,
    section: [],
    lead: null,
    page: null,
    start: 1000 * marker,
    end: 1000 * marker + text.length,
    text,
    score: 1,
    signals: { keyword: 1, document: 1, characters: 1, context: 0, semantic: 1, coverage: 1 },
    ...more,
  };
}

function prompt(message: string, passages: PromptPassage[]): StructuredPrompt {
  return {
    conversationId: 'c',
    tenantId: 't',
    subject: null,
    instructions: null,
    output: 'text',
    history: '',
    passages,
    message,
    allowedActions: [],
  };
}

const leave = passage(1, 'Staff get 28 days of leave. Leave is booked in the portal.');
const manual = passage(2, 'Code | Meaning\nE11 | Overload\nE47 | Weight is stuck');

describe('citations', () => {
  it('quote the sentence that carries the statement, at its offsets in the stored text', () => {
    const [citation] = cite('You book it in the portal [1].', [leave]);
    expect(citation).toMatchObject({ quote: 'Leave is booked in the portal.', start: 1028, end: 1058 });
  });

  it('are one for each statement, also when two come from the same passage', () => {
    const quotes = cite('Staff get 28 days of leave. [1]\nLeave is booked in the portal. [1]', [leave]).map(
      ({ quote }) => quote,
    );
    expect(quotes).toEqual(['Staff get 28 days of leave.', 'Leave is booked in the portal.']);
  });

  it('share the statement when markers stand in a row', () => {
    const found = cite('The weight is stuck [2][1].', [leave, manual]);
    expect(found.map(({ marker }) => marker)).toEqual([2, 1]);
    expect(found[0]?.quote).toBe('E47 | Weight is stuck');
  });

  it('with a marker that was never handed out are dropped', () => {
    expect(dropUnknown('One [1]. Two [7].', [leave])).toBe('One [1]. Two.');
  });
});

describe('a streamed answer', () => {
  it('shows nothing before its first good marker, and no half of a marker', () => {
    const stream = new CitedStream([leave]);
    expect(['Staff get', ' 28 days [', '9', '] of leave [', '1', ']. More'].map((part) => stream.push(part))).toEqual([
      '',
      '',
      '',
      '',
      '',
      'Staff get 28 days of leave [1]. More',
    ]);
  });
});

describe('sentences', () => {
  it('are cut where they stand, and go on over a line that only wraps', () => {
    const text = 'Each role, from apprentice to\nengineer, has a band. Ask HR.\n\nBand | Pay\nH4 | 59,700';
    const found = sentences(text);
    expect(found.map((sentence) => sentence.text)).toEqual([
      'Each role, from apprentice to\nengineer, has a band.',
      'Ask HR.',
      'Band | Pay',
      'H4 | 59,700',
    ]);
    for (const sentence of found) expect(text.slice(sentence.start, sentence.end)).toBe(sentence.text);
  });
});

describe('the extractive answer', () => {
  it('is the sentence that speaks of what was asked', () => {
    expect(extract(prompt('How many days of leave do staff get?', [manual, leave]))).toBe(
      'Staff get 28 days of leave. [1]',
    );
  });

  it('reads a row of a table by its head', () => {
    expect(extract(prompt('What is the meaning of E47?', [leave, manual]))).toBe('E47 | Weight is stuck [2]');
  });

  it('reads a row of a table whose head is not in the passage by the lead, and takes no row for a head', () => {
    const coded = passage(1, 'Weight | E47 stuck\nDoor | E48 open', { lead: 'Part | Failure' });
    expect(extract(prompt('What is the failure of the weight?', [coded]))).toContain('Weight | E47 stuck [1]');
  });

  it('is not found when the passages speak of something else, or of another code', () => {
    expect(extract(prompt('Which helicopters fly to Mars?', [leave, manual]))).toBe(notFoundToken);
    expect(extract(prompt('What is the meaning of E14?', [leave, manual]))).toBe(notFoundToken);
  });

  it('takes bracketed numbers of the source for no markers of ours', () => {
    const study = passage(1, 'The trial showed 90 percent efficacy, as reported in [2].');
    expect(extract(prompt('What efficacy did the trial show?', [study, leave]))).toBe(
      'The trial showed 90 percent efficacy, as reported in. [1]',
    );
  });

  it('leaves out the words that only ask', () => {
    expect(coverage(topic('Please tell me how many days of leave'), 'days of leave')).toBe(1);
  });
});
