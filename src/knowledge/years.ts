// FY2022, FY22, fiscal year '22, CY 22; "fiscal 2022" and "FY 2022" hold the plain year as a word of their own already.
const spelt =
  /(?<![\p{L}\p{N}])(?:(?:FY|CY)((?:19|20)\d\d)|(?:FY|CY|fiscal(?: year)?)\s*['’]?(\d\d))(?![\p{L}\p{N}])/giu;

// A year of two digits is one of the last hundred or the next thirty or so.
const pivot = 60;

/**
 * A text in which a year that is spelt for accountants stands in plain digits too, so that "FY22" and `2022-12-31` have a
 * word in common. Read of questions, titles and metadata alike.
 */
export function withPlainYears(text: string): string {
  return text.replaceAll(spelt, (all: string, long: string | undefined, short: string | undefined) => {
    const year = long ?? `${Number(short) < pivot ? 20 : 19}${short}`;
    return `${all} ${year}`;
  });
}
