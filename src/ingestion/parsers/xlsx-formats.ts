// What a cell's number looks like under its format. See ECMA-376 part 1, 18.8.30 and 18.8.31.

// prettier-ignore
const BUILT_IN: Record<number, string> = {
  1: '0', 2: '0.00', 3: '#,##0', 4: '#,##0.00', 9: '0%', 10: '0.00%', 11: '0.00E+00', 12: '# ?/?', 13: '# ??/??',
  14: 'yyyy-mm-dd', 15: 'd-mmm-yy', 16: 'd-mmm', 17: 'mmm-yy', 18: 'h:mm', 19: 'h:mm:ss', 20: 'h:mm', 21: 'h:mm:ss',
  22: 'yyyy-mm-dd h:mm', 37: '#,##0;(#,##0)', 38: '#,##0;(#,##0)', 39: '#,##0.00;(#,##0.00)', 40: '#,##0.00;(#,##0.00)',
  45: 'mm:ss', 46: '[h]:mm:ss', 47: 'mm:ss', 48: '0.0E+0',
};

export const builtInFormat = (id: number): string => BUILT_IN[id] ?? 'General';

const LONGEST_FORMAT = 255;

/**
 * A number as its format shows it, with two exceptions that make it easier to find: dates are ISO 8601, and so are times.
 * @param date1904 day 0 of the workbook is 1904-01-01, as on old Macs
 */
export function formatNumber(value: number, format: string, date1904: boolean): string {
  const sections = sectionsOf(format.slice(0, LONGEST_FORMAT));
  const negative = value < 0 && sections.length > 1;
  const section = (negative ? sections[1] : value === 0 && sections.length > 2 ? sections[2] : sections[0]) ?? '';
  const { pattern, literal } = bare(section);
  if (/^general$/i.test(pattern.trim()) || pattern.trim() === '' || pattern.trim() === '@') return general(value);
  if (/[ymdhs]/i.test(pattern)) return asDate(value, pattern, date1904);
  return asNumber(negative ? -value : value, pattern, literal);
}

/** Split at semicolons outside of quotes. */
function sectionsOf(format: string): string[] {
  return format.match(/(?:"[^"]*"|\\.|\[[^\]]*\]|[^;"\\[])+/g) ?? ['General'];
}

/** The pattern without colours, conditions, fillers and quoted words; `literal` keeps the words in their places. */
function bare(section: string): { pattern: string; literal: string } {
  const literal = section
    .replace(/\[\$([^\]-]*)[^\]]*\]/g, (_, sign: string) => `"${sign}"`)
    .replace(/\[(?![hms]+\])[^\]]*\]/gi, '')
    .replace(/[_*]./g, '');
  return { pattern: literal.replace(/"[^"]*"|\\./g, ''), literal };
}

const general = (value: number): string => String(Number(value.toPrecision(12)));

const DAY_MS = 86_400_000;

function asDate(value: number, pattern: string, date1904: boolean): string {
  const hasDate = /[yd]|m{3,}/i.test(pattern);
  const hasTime = /[hs]/i.test(pattern);
  if (/\[h+\]/i.test(pattern) || !hasDate) return duration(value, /s/i.test(pattern));
  // Excel believes in the 29th of February 1900 (day 60); before it, days are one more than they should be.
  const days = value + (date1904 ? 1_462 : value < 60 ? 1 : 0);
  const date = new Date(Math.round((days - 25_569) * DAY_MS));
  if (value < 0 || Number.isNaN(date.getTime()) || date.getUTCFullYear() > 9999) return general(value);
  const iso = date.toISOString();
  const day = /d/i.test(pattern) ? iso.slice(0, 10) : /m/i.test(pattern) ? iso.slice(0, 7) : iso.slice(0, 4);
  const time = iso.slice(11, /s/i.test(pattern) ? 19 : 16);
  return hasTime && !(time.startsWith('00:00') && value === Math.trunc(value)) ? `${iso.slice(0, 10)} ${time}` : day;
}

const two = (part: number): string => String(part).padStart(2, '0');

function duration(value: number, seconds: boolean): string {
  const total = Math.round(Math.abs(value) * 86_400);
  const parts = [two(Math.floor(total / 3600)), two(Math.floor(total / 60) % 60)];
  if (seconds) parts.push(two(total % 60));
  return (value < 0 ? '-' : '') + parts.join(':');
}

const DIGITS = /[#0?][#0?,. ]*(?:E[+-][#0?]+)?/i;

function asNumber(value: number, pattern: string, literal: string): string {
  const digits = DIGITS.exec(pattern)?.[0];
  // Nothing but words, as in a section that says "n/a" for zero.
  if (digits === undefined) return words(literal).trim() || general(value);
  if (pattern.includes('/')) return general(value);
  const scaled =
    (pattern.includes('%') ? value * 100 : value) / 1000 ** (/(,+)(?:\.|$)/.exec(digits.trim())?.[1]?.length ?? 0);
  const at = quotedIndex(literal);
  return (words(literal.slice(0, at)) + digitsOf(scaled, digits) + words(literal.slice(at))).trim();
}

function digitsOf(value: number, digits: string): string {
  const decimals = /\.([#0? ]*)/.exec(digits)?.[1]?.replaceAll(' ', '') ?? '';
  const most = Math.min(20, decimals.length);
  if (/E/i.test(digits)) return value.toExponential(most).toUpperCase();
  const least = Math.min(20, decimals.match(/0/g)?.length ?? 0);
  const grouped = /[#0?],[#0?]/.test(digits);
  const whole = Math.min(20, Math.max(1, /^[#?,]*(0+)(?:\.|$)/.exec(digits)?.[1]?.length ?? 1));
  return numberFormat(least, most, whole, grouped).format(value);
}

const numberFormats = new Map<string, Intl.NumberFormat>();

/** Kept: making one costs more than a thousand numbers. There are as many as these small numbers have combinations. */
function numberFormat(least: number, most: number, whole: number, useGrouping: boolean): Intl.NumberFormat {
  const key = `${least} ${most} ${whole} ${useGrouping}`;
  const kept = numberFormats.get(key);
  if (kept) return kept;
  const made = new Intl.NumberFormat('en-US', {
    minimumFractionDigits: least,
    maximumFractionDigits: most,
    minimumIntegerDigits: whole,
    useGrouping,
  });
  numberFormats.set(key, made);
  return made;
}

/** Where the digits begin, outside of quotes. */
function quotedIndex(literal: string): number {
  const before = /^(?:"[^"]*"|\\.|[^"\\#0?])*/.exec(literal);
  return before?.[0].length ?? 0;
}

/** The words around the digits: quotes and escapes taken off, the digits' own signs left out. */
const words = (literal: string): string =>
  literal.replace(
    /"([^"]*)"|\\(.)|E[+-][#0?]+|[#0?.,]/gi,
    (_, quoted?: string, escaped?: string) => quoted ?? escaped ?? '',
  );
