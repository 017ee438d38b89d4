/** Nothing but creates, each read back at once. */
class CreateUserSimulation extends LoadSimulation("create-user")
