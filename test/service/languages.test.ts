import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type Service, joinService } from './harness.js';
import { type Library, openLibrary } from './library.js';
import { chinese, thai } from './paragraphs.js';

interface Written {
  language: string;
  /** By external id, two documents that have much in common. */
  documents: Record<string, string>;
  /** A question whose words stand in other forms in the document it is about. */
  questions: [question: string, about: string][];
}

const written: Written[] = [
  {
    language: 'en',
    documents: {
      'en-leave': 'Every employee is entitled to annual leave. It is requested from the line manager two weeks ahead.',
      'en-lease':
        'Every employee may lease a bicycle. The leasing company is paid by the employer every month in advance.',
    },
    questions: [['Who leases bicycles to employees?', 'en-lease']],
  },
  {
    language: 'de',
    documents: {
      'de-frist': 'Der Vertrag mit dem Vermieter kann mit einer Frist von drei Monaten schriftlich beendet werden.',
      'de-haus': 'Das Haus am See steht allen Angehörigen der Firma im Sommer für ein Wochenende kostenlos offen.',
    },
    questions: [
      ['Welche Fristen stehen in den Verträgen mit Vermietern?', 'de-frist'],
      ['Wem stehen die Häuser an den Seen offen?', 'de-haus'],
    ],
  },
  {
    language: 'es',
    documents: {
      'es-vacaciones':
        'Las vacaciones se solicitan al responsable del departamento con dos semanas de antelación, por escrito.',
      'es-factura':
        'La factura se envía al departamento de contabilidad, que la revisa y la paga antes del final de cada mes.',
    },
    questions: [
      ['¿Cómo solicitar una vacación?', 'es-vacaciones'],
      ['¿Quién pagará las facturas?', 'es-factura'],
    ],
  },
  {
    language: 'ru',
    documents: {
      'ru-otpusk': 'Заявление на отпуск подаётся руководителю отдела не позднее чем за две недели до его начала.',
      'ru-dogovor': 'Договор с поставщиком подписывает директор, после чего его копия хранится в архиве пять лет.',
    },
    questions: [
      ['Кому подавать заявления об отпусках?', 'ru-otpusk'],
      ['Кто подписывал договоры с поставщиками?', 'ru-dogovor'],
    ],
  },
  {
    language: 'tr',
    documents: {
      'tr-kitap': 'Kütüphaneden ödünç alınan kitap en geç otuz gün içinde görevliye geri verilir, yoksa ceza ödenir.',
      'tr-garaj': 'Şirketin arabası yalnızca iş yolculukları için kullanılır ve akşamları garaja geri bırakılır.',
    },
    questions: [
      ['Kitaplar ne zaman verilmeli?', 'tr-kitap'],
      ['GARAJLAR nerede?', 'tr-garaj'],
    ],
  },
  {
    language: 'ar',
    documents: {
      'ar-ijaza': 'يحق للموظف أن يطلب الإجازة السنوية من المدير المباشر قبل أسبوعين على الأقل من تاريخ بدايتها.',
      'ar-aqd': 'يوقع المدير العام على العقد مع الشركة الموردة ثم تحفظ نسخة منه في الأرشيف لمدة خمس سنوات.',
    },
    questions: [
      ['لمن يقدم الموظفون طلب إجازة سنوية؟', 'ar-ijaza'],
      ['من يوقع عقد الشركات؟', 'ar-aqd'],
    ],
  },
  {
    language: 'pl',
    documents: {
      'pl-urlop': 'Wniosek o urlop składa się u kierownika działu najpóźniej dwa tygodnie przed jego rozpoczęciem.',
      'pl-umowa': 'Umowa z dostawcą jest podpisywana przez dyrektora, a jej kopia jest przechowywana przez pięć lat.',
    },
    questions: [
      ['wniosek o urlop', 'pl-urlop'],
      ['umowa z dostawcą', 'pl-umowa'],
    ],
  },
];

let service: Service;

beforeAll(async () => {
  service = await joinService();
});
afterAll(() => service.stop());

const everyDocument = Object.assign({}, ...written.map(({ documents }) => documents)) as Record<string, string>;
const everyQuestion = written.flatMap(({ questions }) => questions);

describe('a base with documents in many languages', () => {
  let library: Library;

  beforeAll(async () => {
    library = await openLibrary(service);
    for (const [externalId, content] of Object.entries(everyDocument)) {
      await library.upload({ externalId, title: externalId.replace('-', ' '), content });
    }
    await service.settle();
  });

  it.each(everyQuestion)(
    'answers in the question’s language, whatever forms its words have: %s',
    async (question, about) => {
      expect((await library.finds(question, { mode: 'keyword' }))[0]).toBe(about);
    },
  );

  it('knows which languages its words are read in', async () => {
    const sql = 'select languages from knowledge_index where knowledge_base_id = $1';
    const base = library.base.slice('kb_'.length);
    const row = await service.database().asOwner((tx) => tx.row<{ languages: string[] }>(sql, [base]));
    expect(row?.languages.toSorted()).toEqual(['ar', 'de', 'en', 'es', 'pl', 'ru', 'tr']);
  });

  it('reads a title and metadata in the language of the document, also when they change', async () => {
    const { id } = await library.publish({
      externalId: 'rahmen',
      title: 'Häuser',
      metadata: { kind: 'Verträge' },
      content: 'Die Unterlagen liegen im Schrank neben der Tür und dürfen von allen Angehörigen eingesehen werden.',
    });
    expect(await library.finds('Haus', { mode: 'keyword' })).toContain('rahmen');
    await library.call('PATCH', `/documents/${id}`, { body: { title: 'Mietverträge' } });
    expect(await library.finds('Mietvertrag', { mode: 'keyword' })).toContain('rahmen');
    expect(await library.finds('Haus', { mode: 'keyword' })).not.toContain('rahmen');
  });

  it('finds the same after its postings were made anew', async () => {
    await service.database().asOwner((tx) => tx.run('delete from segment'));
    await service.settle();
    expect((await library.finds('Welche Fristen stehen in Verträgen?', { mode: 'keyword' }))[0]).toBe('de-frist');
  });
});

describe('a base in English', () => {
  it('answers a question in another language with what it holds of its words, and without an error', async () => {
    const library = await openLibrary(service);
    await library.publish({ externalId: 'en', content: everyDocument['en-lease'] });
    expect(await library.finds('Wie lange muss ein Bicycle geleast werden?', { mode: 'keyword' })).toEqual(['en']);
    expect(await library.finds('Was ist die Kündigungsfrist?', { mode: 'keyword' })).toEqual([]);
  });

  it('is asked in English by whoever may see no more: a hidden document in another language shows in no score', async () => {
    const library = await openLibrary(service);
    await library.publish({ externalId: 'en', content: everyDocument['en-lease'] });
    const body = { subject: 'ada', groups: [], scopes: ['search'], ttlSeconds: 3600 };
    const key = (await service.call('POST', '/v1/tokens', { body })).body.token;
    const asked = async () => (await library.search('the leases', { mode: 'keyword' }, { key })).results;
    const before = await asked();
    const access = { visibility: 'restricted', allow: ['user:bob'] };
    await library.publish({ externalId: 'de', content: everyDocument['de-frist'], access });
    expect(before).toHaveLength(1);
    expect(await asked()).toEqual(before);
  });

  it('that was filled before languages were told answers as before', async () => {
    const library = await openLibrary(service);
    await library.publish({ externalId: 'old', content: everyDocument['en-lease'] });
    await service.database().asOwner(async (tx) => {
      await tx.run(`update revision set language = null where knowledge_base_id = $1`, [uuidOf(library.base)]);
      await tx.run(
        `delete from segment s using knowledge_index i where i.id = s.index_id and i.knowledge_base_id = $1`,
        [uuidOf(library.base)],
      );
      await tx.run(`update knowledge_index set languages = '{en}' where knowledge_base_id = $1`, [
        uuidOf(library.base),
      ]);
    });
    await service.settle();
    expect(await library.finds('leases of bicycles', { mode: 'keyword' })).toEqual(['old']);
  });
});

describe.each([
  ['Chinese', chinese],
  ['Thai', thai],
])('%s', (language, { paragraphs, questions }) => {
  let library: Library;

  beforeAll(async () => {
    library = await openLibrary(service);
    for (const [externalId, content] of Object.entries(paragraphs)) {
      await library.upload({ externalId, content, title: language });
    }
    await service.settle();
  });

  it.each(['keyword', 'hybrid'])('questions find their paragraph, .94 of them on top: %s', async (mode) => {
    const missed: string[] = [];
    for (const [question, about] of questions) {
      const [first] = await library.finds(question, { mode });
      if (first !== about) missed.push(question);
    }
    expect(1 - missed.length / questions.length, missed.join('\n')).toBeGreaterThanOrEqual(0.94);
  });
});

describe('the language of a pipeline', () => {
  it('is what all documents of the base are read in', async () => {
    const library = await openLibrary(service, { pipeline: { language: 'de' } });
    expect((await library.call('GET', '')).body.pipeline).toMatchObject({ language: 'de' });
    // Too short to tell; as English, these would be three words.
    await library.publish({ externalId: 'short', title: 'x', content: 'Häuser' });
    expect(await library.finds('des Hauses', { mode: 'keyword' })).toEqual(['short']);
  });

  it('is auto where none is chosen, and may be said to be', async () => {
    const library = await openLibrary(service);
    expect((await library.call('GET', '')).body.pipeline.language).toBe('auto');
    expect((await make('automatic', 'auto')).body.pipeline.language).toBe('auto');
  });

  it.each(['xx', 'german', 'DE', 'e'])('cannot be %s', async (language) => {
    const { status, body } = await make(`in ${language}`, language);
    expect(status).toBe(422);
    expect(body).toMatchObject({ code: 'unprocessable', errors: [{ field: 'pipeline.language' }] });
    expect(body.detail).toContain('ISO 639-1');
  });
});

const make = (name: string, language: string) =>
  service.call('POST', '/v1/knowledge-bases', { body: { name, pipeline: { language } } });

const uuidOf = (shown: string): string => shown.slice(shown.indexOf('_') + 1);
