declare module 'snowball-stemmers' {
  interface Stemmer {
    stem(word: string): string;
  }
  /** CommonJS: the stemmers of the Snowball project, as its compiler made them. */
  const snowball: { newStemmer(language: 'english'): Stemmer };
  export default snowball;
}
