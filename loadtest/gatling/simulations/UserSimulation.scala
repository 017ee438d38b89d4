/** Every suite on users: LOADTEST_SUITE says which. */
class UserSimulation extends LoadSimulation(Settings.suite)
