// Run as a process of its own by embedded.test.ts: opens the database in argv[3] with the pool compiled at argv[2] and
// reports on stdout, one line each, the rows it has been told are committed.
const { EmbeddedPool } = await import(process.argv[2]);
const pool = new EmbeddedPool({ dataDir: process.argv[3] });

try {
  await pool.query('create table if not exists written (n bigint primary key, v vector(3))');
  const { rows } = await pool.query('select coalesce(max(n), 0) as last from written');
  for (let n = Number(rows[0].last) + 1; ; n += 1) {
    await pool.query('insert into written values ($1, $2)', [n, '[1,2,3]']);
    process.stdout.write(`${n}\n`);
  }
} catch (error) {
  process.stdout.write(`refused: ${error.message}\n`);
  process.exitCode = 1;
}
