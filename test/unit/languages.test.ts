import { describe, expect, it } from 'vitest';
import { detectLanguage } from '../../src/knowledge/detect-language.js';
import { terms } from '../../src/knowledge/terms.js';

/** Forms of one word, which have to end as one term. */
const inflections: [language: string, forms: string][] = [
  ['de', 'Vertrag Vertrages Verträge VERTRÄGEN'],
  ['de', 'Häuser Haus Hauses'],
  ['de', 'Straße STRASSE Straßen'],
  ['ru', 'договор договора договору ДОГОВОРАМИ'],
  ['ru', 'учёт учет учёта'],
  ['tr', 'kitap kitabı kitaplar KİTAPLARI'],
  ['tr', 'ISPARTA Isparta ısparta'],
  ['ar', 'الموظفين الموظفون موظف'],
  ['ar', 'العُطْلَة العطلة عطلة'],
  ['es', 'vacación vacaciones VACACIONES'],
  ['fr', 'salarié salariés salariée'],
  ['it', 'contratto contratti'],
  ['pt', 'empregado empregados'],
  ['nl', 'werknemer werknemers'],
  ['sv', 'semesterdag semesterdagar'],
  ['no', 'feriedag feriedager feriedagene'],
  ['nb', 'feriedag feriedager'],
  ['hu', 'szerződés szerződések'],
];

describe('the terms of a language', () => {
  it.each(inflections)('%s: inflected forms are one term: %s', (language, forms) => {
    expect(new Set(terms(forms, language)).size).toBe(1);
    expect(terms(forms, language)).toHaveLength(forms.split(' ').length);
  });

  it.each([
    ['de', 'der und die', 'Frist', 'frist'],
    ['ru', 'и в не на', 'отпуск', 'отпуск'],
    ['es', 'de la que el', 'contrato', 'contrat'],
    ['fr', 'le la de des', 'contrat', 'contrat'],
  ])('%s: its own stop words are dropped, those of others are not', (language, stops, word, term) => {
    expect(terms(`${stops} ${word}`, language)).toEqual([term]);
    expect(terms(stops, 'pl')).toHaveLength(stops.split(' ').length);
  });

  it('are whole words where nothing is known of how they are inflected', () => {
    expect(terms('Umowy zostały podpisane', 'pl')).toEqual(['umowy', 'zostały', 'podpisane']);
    expect(terms('Hợp đồng do hai bên ký', 'vi')).toEqual(['hợp', 'đồng', 'do', 'hai', 'bên', 'ký']);
  });

  it.each(['zh', 'ja', 'th', 'ru', 'he'])(
    '%s: words in Latin letters among its own are read as English',
    (language) => {
      expect(terms('the reports of X200', language)).toEqual(['report', 'x200']);
    },
  );

  it('are pairs of characters in Chinese, Japanese, Thai, Lao, Khmer and Burmese, whatever the language', () => {
    for (const language of [null, 'zh', 'ja', 'th', 'de', 'sl']) {
      expect(terms('年次休暇', language)).toEqual(['年次', '次休', '休暇']);
      expect(terms('ลางาน', language)).toEqual(['ลา', 'าง', 'งา', 'าน']);
    }
    for (const text of ['ພະນັກງານ', 'បុគ្គលិក', 'ဝန်ထမ်း'])
      expect(terms(text).every((term) => [...term].length === 2)).toBe(true);
  });

  it('of a text whose language is not known are those of English, as they always were', () => {
    const text = 'The Days were counted; the days of leaving, über 27 Verträge';
    expect(terms(text, null)).toEqual(['day', 'count', 'day', 'leav', 'über', '27', 'verträge']);
    expect(terms(text, 'en')).toEqual(terms(text, null));
  });

  // A step for each pair of letters would take a day.
  it.each(['de', 'fr', 'pt', 'ar', 'sl'])('%s: are found in a megabyte of one run', (language) => {
    expect(terms('a'.repeat(1_000_000), language)).toHaveLength(1);
  });
});

const texts: [language: string, text: string][] = [
  [
    'en',
    'Every employee has twenty seven days of annual leave, which are requested from the line manager two weeks ahead.',
  ],
  ['de', 'Alle Beschäftigten haben siebenundzwanzig Tage Urlaub im Jahr, die zwei Wochen vorher zu beantragen sind.'],
  [
    'fr',
    'Chaque salarié dispose de vingt-sept jours de congés par an, à demander deux semaines à l’avance au responsable.',
  ],
  [
    'es',
    'Cada empleado tiene veintisiete días de vacaciones al año, que se solicitan al responsable con dos semanas de antelación.',
  ],
  ['ru', 'Каждый сотрудник имеет двадцать семь дней отпуска в год, заявление подаётся руководителю за две недели.'],
  ['tr', 'Her çalışanın yılda yirmi yedi gün izin hakkı vardır; izinler iki hafta önceden yöneticiden talep edilir.'],
  ['ar', 'يحق لكل موظف سبعة وعشرون يوما من الإجازة السنوية، ويقدم الطلب إلى المدير قبل أسبوعين من بدايتها.'],
  ['zh', '每位员工每年享有二十七天年假，须提前两周向直属经理提出申请，未使用的假期可以结转到次年三月底。'],
  ['ja', '従業員は年に二十七日の年次休暇を取得でき、二週間前までに上司に申請する必要があります。'],
  ['th', 'พนักงานทุกคนมีวันลาพักร้อนปีละยี่สิบเจ็ดวัน โดยต้องขอจากหัวหน้างานล่วงหน้าสองสัปดาห์'],
];

describe('the language of a text', () => {
  it.each(texts)('is told: %s', async (language, text) => {
    expect(await detectLanguage(text)).toBe(language);
    expect(await detectLanguage(text.repeat(2000))).toBe(language);
  });

  it.each([
    '',
    '12 345 6.7',
    'Revenue 2023',
    'E14 error',
    'die hard',
    '| december 31 2014 | $97.90 | $107.80 | $113.70\n'.repeat(4),
    '\ud83d',
  ])('is not guessed from what tells little: %j', async (text) => expect(await detectLanguage(text)).toBeNull());

  it('is none when no language has more than half of the text', async () => {
    const [english = '', german = '', french = '', spanish = ''] = texts.map(([, text]) => `${text}\n`.repeat(6));
    expect(await detectLanguage(english + german + french + spanish)).toBeNull();
    expect(await detectLanguage(english + english + english + german)).toBe('en');
  });

  it('is told from five pieces of twenty megabytes, not from what lies between', async () => {
    const [english = '', german = ''] = texts.map(([, text]) => text);
    const gap = english.repeat(5_000_000 / english.length);
    const long = Array.from({ length: 5 }, () => german.repeat(20).slice(0, 700)).join(gap);
    expect(await detectLanguage(long)).toBe('de');
    expect(await detectLanguage(gap)).toBe('en');
  });
});
