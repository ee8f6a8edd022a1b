// Mocha's own report, and under it the totals as a line of their own, for scripts to read.
const Mocha = require('mocha')

module.exports = class TotalsReporter extends Mocha.reporters.Spec {
  epilogue() {
    super.epilogue()
    const { passes, failures } = this.stats
    Mocha.reporters.Base.consoleLog(`${passes} passed, ${failures} failed`)
  }
}
