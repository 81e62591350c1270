// npm run bench [-- spine|ingest|search|scale|reserve|fairness|publish|gate|replay|reindex …]: each is told in its own file.
// Without a name: spine.
const benches = ['spine', 'ingest', 'search', 'scale', 'reserve', 'fairness', 'publish', 'gate', 'replay', 'reindex'];
const [named] = process.argv.slice(2);
const name = benches.includes(named) ? named : 'spine';
// What comes after the name is the bench's own to read.
if (name === named) process.argv.splice(2, 1);
await import(`./${name}.mjs`);
